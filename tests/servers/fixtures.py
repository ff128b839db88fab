"""The fixtures: one of a kind for the whole run, or one of the test's own, which it may kill."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.certificates import certificate
from servers.process import Server, free_port, without
from servers.s3_service import S3, Bucket, minio_in_docker, minio_program, start_minio


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One S3 service for the whole run; leave it running."""
    given = os.environ.get("SLUICE_TEST_S3")
    if given:
        yield S3(given.rstrip("/"), os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        return
    program = minio_program()
    if program is None:
        yield from minio_in_docker()
        return
    with_server = start_minio(program, tmp_path_factory.mktemp("minio"))
    assert with_server.server is not None
    try:
        yield with_server
    finally:
        with_server.server.kill()


@pytest.fixture
def minio(s3: S3) -> Bucket:
    """A fresh bucket in a real MinIO."""
    name = f"test-{secrets.token_hex(6)}"
    s3.client.make_bucket(name)
    return Bucket(s3, name)


@pytest.fixture
def own_minio(tmp_path: Path) -> Iterator[Bucket]:
    """A bucket in a MinIO of the test's own, which it may kill, pause and start again (`.s3.server`)."""
    program = minio_program()
    if program is None:
        without("MinIO", "install Go from https://go.dev/dl, then run `tools/servers/build minio`")
    service = start_minio(program, tmp_path / "minio")
    assert service.server is not None
    try:
        service.client.make_bucket("own")
        yield Bucket(service, "own")
    finally:
        service.server.kill()


@pytest.fixture(scope="module")
def tls_minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket in a MinIO that speaks TLS, with a certificate of an authority that no machine trusts (`.s3.ca`)."""
    program = minio_program()
    if program is None:
        without("MinIO", "install Go from https://go.dev/dl, then run `tools/servers/build minio`")
    folder = tmp_path_factory.mktemp("tls")
    service = start_minio(program, folder / "minio", certificate(folder / "authority"))
    assert service.server is not None
    try:
        service.client.make_bucket("private")
        yield Bucket(service, "private")
    finally:
        service.server.kill()


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real, empty redis-server for the whole run; use a database or key prefix of your own."""
    program = shutil.which("redis-server")
    if program is None:
        without("Redis", "install the package redis-server")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": "", "appendonly": "no", "databases": 64}
    command = [program, *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
    server = Server(command, f"127.0.0.1:{port}")
    server.start()
    try:
        yield server.address
    finally:
        server.kill()


@dataclass(frozen=True)
class Redis:
    """A Redis of the test's own, which wants a password if it has one."""

    server: Server
    password: str = ""

    @property
    def address(self) -> str:
        """host:port."""
        return self.server.address


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that wants a password and keeps nothing, which the test may kill, pause and start again."""
    program = shutil.which("redis-server")
    if program is None:
        without("Redis", "install the package redis-server")
    port, password = free_port(), "a,b=1 c"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", password]
    server = Server([program, *options, "--dir", str(tmp_path)], f"127.0.0.1:{port}")
    server.start()
    try:
        yield Redis(server, password)
    finally:
        server.kill()


def durable_redis(folder: Path, *options: str) -> Redis:
    """A Redis that keeps what it was told over a kill -9, as manifests/components/redis sets it; not started."""
    program = shutil.which("redis-server")
    if program is None:
        without("Redis", "install the package redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    kept = ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", ""]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *kept, *options]
    return Redis(Server(command, f"127.0.0.1:{port}"))
