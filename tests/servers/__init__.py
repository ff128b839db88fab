"""Real servers for the tests: started on free ports, ended with the test run.

MinIO comes from, in this order: the endpoint in SLUICE_TEST_S3 (its keys in AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY), `tools/servers/bin/minio`, a build with Go, docker. Redis, MariaDB, Prometheus and Alertmanager
are Debian's, Kubeflow's model registry is built with Go. Where a server is not to be had its tests are skipped, and the
end of the run says so in one line; with SLUICE_TESTS_COMPLETE=1 they fail instead.
"""

from servers.certificates import Certificate, certificate
from servers.fixtures import Redis, durable_redis, minio, own_minio, own_redis, redis_address, s3, tls_minio
from servers.kubeflow import kubeflow_registry
from servers.process import Server, free_port, missing, without
from servers.prometheus import alertmanager, prometheus, tool
from servers.s3_service import S3, Bucket, minio_program, start_minio, wait_until_ready
from servers.spark import spark

__all__ = [
    "S3",
    "Bucket",
    "Certificate",
    "Redis",
    "Server",
    "alertmanager",
    "certificate",
    "durable_redis",
    "free_port",
    "kubeflow_registry",
    "minio",
    "minio_program",
    "missing",
    "own_minio",
    "own_redis",
    "prometheus",
    "redis_address",
    "s3",
    "spark",
    "start_minio",
    "tls_minio",
    "tool",
    "wait_until_ready",
    "without",
]
