"""Real servers for the tests: MinIO and Redis, started on free ports, ended with the test run.

MinIO comes from, in this order: the endpoint in SLUICE_TEST_S3 (its keys in AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY), `tools/servers/bin/minio`, a build with Go, docker. Where there is none the tests are skipped,
and the end of the run says so in one line; with SLUICE_TESTS_COMPLETE=1 they fail instead.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from sluice.settings.operation import Storage

ROOT = Path(__file__).parent.parent
MINIO_IMAGE = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
STARTS_WITHIN = 60.0
"""Seconds until a server has to answer."""

# However the tests end, even by kill -9, the kernel then ends the servers.
_ENDED_WITH_THE_TESTS = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []

missing: dict[str, str] = {}
"""Servers that tests wanted and that are not here, with how to get them; told at the end of the run."""


@dataclass
class Server:
    """A server of our own in a process group of its own."""

    command: list[str]
    address: str
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again) and wait until its port answers."""
        self.process = subprocess.Popen(
            [*_ENDED_WITH_THE_TESTS, *self.command],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        host, port = self.address.rsplit(":", 1)
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.command[0]} ended at once with {self.process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"{self.command[0]} does not answer at {self.address}")

    def kill(self) -> None:
        """End it the hard way, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self, paused: bool = True) -> None:
        """Keep its connections open and answer nothing, or go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)


@dataclass(frozen=True)
class S3:
    """An S3 service. `server` is None when it is not ours to end."""

    endpoint: str
    access_key: str
    secret_key: str
    server: Server | None = None

    @property
    def client(self) -> Minio:
        """MinIO's own client, for what obstore cannot do."""
        secure, address = self.endpoint.startswith("https://"), self.endpoint.split("://", 1)[1]
        return Minio(address, self.access_key, self.secret_key, secure=secure)

    @property
    def credentials(self) -> dict[str, str]:
        """As `sluice.storage.open_store` takes them."""
        return {"access_key_id": self.access_key, "secret_access_key": self.secret_key}

    @property
    def environment(self) -> dict[str, str]:
        """As child processes take them."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def storage(self, bucket: str, prefix: str = "") -> Storage:
        """The settings of a store in this service."""
        url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        return Storage(url=url, endpoint=self.endpoint, allow_http=self.endpoint.startswith("http://"))


@dataclass(frozen=True)
class Bucket:
    """A fresh bucket. `storage` are its settings, `credentials` and `environment` its keys."""

    s3: S3
    name: str

    @property
    def storage(self) -> Storage:
        """The settings of a store in this bucket."""
        return self.s3.storage(self.name)

    @property
    def credentials(self) -> dict[str, str]:
        """As `sluice.storage.open_store` takes them."""
        return self.s3.credentials

    @property
    def environment(self) -> dict[str, str]:
        """As child processes take them."""
        return self.s3.environment


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One S3 service for the whole run; leave it running."""
    given = os.environ.get("SLUICE_TEST_S3")
    if given:
        yield S3(given.rstrip("/"), os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        return
    program = minio_program()
    if program is None:
        yield from _minio_in_docker()
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
        _without("MinIO", "install Go from https://go.dev/dl, then run `tools/servers/build minio`")
    service = start_minio(program, tmp_path / "minio")
    assert service.server is not None
    try:
        service.client.make_bucket("own")
        yield Bucket(service, "own")
    finally:
        service.server.kill()


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real, empty redis-server for the whole run; use a database or key prefix of your own."""
    program = shutil.which("redis-server")
    if program is None:
        _without("Redis", "install the package redis-server")
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


def minio_program() -> str | None:
    """Path of MinIO, built before or now; None without Go."""
    built = ROOT / "tools" / "servers" / "bin" / "minio"
    if shutil.which("go"):
        subprocess.run([ROOT / "tools" / "servers" / "build", "minio"], check=True)
    return str(built) if built.exists() else None


def start_minio(program: str, folder: Path) -> S3:
    """A MinIO with its data below `folder` and keys of its own."""
    address = f"127.0.0.1:{free_port()}"
    access_key, secret_key = "tester", secrets.token_hex(16)
    environment = {
        "MINIO_ROOT_USER": access_key,
        "MINIO_ROOT_PASSWORD": secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "HOME": str(folder),
    }
    folder.mkdir(parents=True, exist_ok=True)
    command = [program, "server", "--quiet", "--address", address, str(folder / "data")]
    server = Server(command, address, environment)
    server.start()
    service = S3(f"http://{address}", access_key, secret_key, server)
    wait_until_ready(service)
    return service


def wait_until_ready(service: S3) -> None:
    """Wait until MinIO takes requests: its health page says so half a second too early."""
    # MinIO asks to come back in a minute, and urllib3 would do as told.
    pool = urllib3.PoolManager(timeout=5, retries=False)
    secure, address = service.endpoint.startswith("https://"), service.endpoint.split("://", 1)[1]
    client = Minio(address, service.access_key, service.secret_key, secure=secure, http_client=pool)
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            client.list_buckets()
            return
        except (S3Error, urllib3.exceptions.HTTPError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _minio_in_docker() -> Iterator[S3]:
    advice = "install Go from https://go.dev/dl, or start docker, or set SLUICE_TEST_S3"
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        _without("MinIO", advice)
    port, secret_key, name = free_port(), secrets.token_hex(16), f"sluice-test-{secrets.token_hex(4)}"
    options = ["--rm", "-d", "--name", name, "-p", f"127.0.0.1:{port}:9000"]
    keys = ["-e", "MINIO_ROOT_USER=tester", "-e", f"MINIO_ROOT_PASSWORD={secret_key}"]
    command = ["docker", "run", *options, *keys, MINIO_IMAGE, "server", "/data"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        _without("MinIO", advice)
    try:
        service = S3(f"http://127.0.0.1:{port}", "tester", secret_key)
        wait_until_ready(service)
        yield service
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False)


def _without(name: str, advice: str) -> NoReturn:
    missing[name] = advice
    if os.environ.get("SLUICE_TESTS_COMPLETE") == "1":
        pytest.fail(f"{name} is not here and nothing may be skipped: {advice}", pytrace=False)
    pytest.skip(f"{name} is not here")
