"""A real MinIO: the endpoint in SLUICE_TEST_S3, the program built from its Go module, or docker."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import S3Error

from servers.certificates import Certificate
from servers.process import ROOT, STARTS_WITHIN, Server, free_port, without
from sluice.settings.operation import Storage

IMAGE = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
ADVICE = "install Go from https://go.dev/dl, or start docker, or set SLUICE_TEST_S3"


@dataclass(frozen=True)
class S3:
    """An S3 service. `server` is None when it is not ours to end."""

    endpoint: str
    access_key: str
    secret_key: str
    server: Server | None = None
    ca: Path | None = None

    @property
    def client(self) -> Minio:
        """MinIO's own client, for what obstore cannot do."""
        secure, address = self.endpoint.startswith("https://"), self.endpoint.split("://", 1)[1]
        pool = urllib3.PoolManager(timeout=5, ca_certs=str(self.ca)) if self.ca else None
        return Minio(address, self.access_key, self.secret_key, secure=secure, http_client=pool)

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
        http = self.endpoint.startswith("http://")
        return Storage(url=url, endpoint=self.endpoint, allow_http=http, ca=str(self.ca) if self.ca else None)


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


def minio_program() -> str | None:
    """Path of MinIO, built before or now; None without Go."""
    built = ROOT / "tools" / "servers" / "bin" / "minio"
    if shutil.which("go"):
        subprocess.run([ROOT / "tools" / "servers" / "build", "minio"], check=True)
    return str(built) if built.exists() else None


def start_minio(
    program: str, folder: Path, tls: Certificate | None = None, variables: Mapping[str, str] | None = None
) -> S3:
    """A MinIO with its data below `folder` and keys of its own; `variables` are settings of its environment."""
    address = f"127.0.0.1:{free_port()}"
    access_key, secret_key = "tester", secrets.token_hex(16)
    environment = {
        "MINIO_ROOT_USER": access_key,
        "MINIO_ROOT_PASSWORD": secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "HOME": str(folder),
        **(variables or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    command = [program, "server", "--quiet", "--address", address, str(folder / "data")]
    if tls is not None:
        (folder / "certs").mkdir()
        shutil.copy(tls.certificate, folder / "certs" / "public.crt")
        shutil.copy(tls.key, folder / "certs" / "private.key")
        command += ["--certs-dir", str(folder / "certs")]
    server = Server(command, address, environment)
    server.start()
    scheme, ca = ("https", tls.authority) if tls else ("http", None)
    service = S3(f"{scheme}://{address}", access_key, secret_key, server, ca)
    wait_until_ready(service)
    return service


def wait_until_ready(service: S3) -> None:
    """Wait until MinIO takes requests: its health page says so half a second too early."""
    # MinIO asks to come back in a minute, and urllib3 would do as told.
    trusted = {"ca_certs": str(service.ca)} if service.ca else {}
    pool = urllib3.PoolManager(timeout=5, retries=False, **trusted)
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


def minio_in_docker() -> Iterator[S3]:
    """A MinIO in a container, while the generator lasts."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        without("MinIO", ADVICE)
    port, secret_key, name = free_port(), secrets.token_hex(16), f"sluice-test-{secrets.token_hex(4)}"
    options = ["--rm", "-d", "--name", name, "-p", f"127.0.0.1:{port}:9000"]
    keys = ["-e", "MINIO_ROOT_USER=tester", "-e", f"MINIO_ROOT_PASSWORD={secret_key}"]
    command = ["docker", "run", *options, *keys, IMAGE, "server", "/data"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        without("MinIO", ADVICE)
    try:
        service = S3(f"http://127.0.0.1:{port}", "tester", secret_key)
        wait_until_ready(service)
        yield service
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False)
