"""Gets the real servers of the tests ready before the tests start, and says once what is missing.

`make test` calls it. MinIO comes from, in this order: the endpoint in SLUICE_TEST_S3, the program built here before,
a build with Go, docker. With SLUICE_TESTS_COMPLETE=1 a missing server is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def minio_is_ready() -> bool:
    """Whether the tests will find MinIO, after building it where Go is there."""
    if os.environ.get("SLUICE_TEST_S3"):
        return True
    if shutil.which("go"):
        return subprocess.run([HERE / "build", "minio"], check=False).returncode == 0
    if (HERE / "bin" / "minio").exists():
        return True
    if shutil.which("docker"):
        return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    return False


def model_registry_is_ready() -> bool:
    """Whether the tests will find Kubeflow's model registry, after building it where Go and its database are there."""
    if not shutil.which("mariadbd"):
        return False
    if shutil.which("go"):
        return subprocess.run([HERE / "build", "model-registry"], check=False).returncode == 0
    return (HERE / "bin" / "model-registry").exists()


def main() -> int:
    """Prepare, and name what is missing."""
    missing = []
    if not minio_is_ready():
        missing.append("MinIO (install Go from https://go.dev/dl, or start docker, or set SLUICE_TEST_S3)")
    if not shutil.which("redis-server"):
        missing.append("Redis (install the package redis-server)")
    if not model_registry_is_ready():
        missing.append("Kubeflow's model registry (install Go and the package mariadb-server-core)")
    if not shutil.which("java"):
        missing.append("Spark (install Java 17 or later: openjdk-17-jre-headless)")
    for name in missing:
        print(f"tests that need {name} will be skipped", file=sys.stderr)
    return 1 if missing and os.environ.get("SLUICE_TESTS_COMPLETE") == "1" else 0


if __name__ == "__main__":
    sys.exit(main())
