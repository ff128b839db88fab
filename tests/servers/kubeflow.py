"""Kubeflow's real model registry on a MariaDB of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.process import ROOT, STARTS_WITHIN, Server, free_port, without

BUILD = ROOT / "tools" / "servers" / "build"


@pytest.fixture(scope="session")
def kubeflow_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """http://host:port of an empty model registry for the whole run."""
    program, database = _program(), shutil.which("mariadbd")
    if program is None or database is None:
        without("Kubeflow's model registry", "install Go from https://go.dev/dl and the package mariadb-server-core")
    folder = tmp_path_factory.mktemp("kubeflow")
    storage = _database(database, folder)
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    options = {"type": "mysql", "dsn": f"root@tcp({storage.address})/registry?charset=utf8mb4"}
    command = [program, "proxy", "--hostname", host, "--port", port]
    command += [word for name, value in options.items() for word in (f"--embedmd-database-{name}", value)]
    server = Server(command, address, {"HOME": str(folder)})
    storage.start()
    try:
        server.start()
        _wait_until_migrated(f"http://{address}/api/model_registry/v1alpha3/registered_models")
        yield f"http://{address}"
    finally:
        server.kill()
        storage.kill()


def _program() -> str | None:
    built = ROOT / "tools" / "servers" / "bin" / "model-registry"
    if shutil.which("go"):
        subprocess.run([BUILD, "model-registry"], check=True)
    return str(built) if built.exists() else None


def _database(program: str, folder: Path) -> Server:
    """A MariaDB that keeps nothing safe and asks nobody who they are."""
    (folder / "data").mkdir()
    (folder / "first.sql").write_text("CREATE DATABASE IF NOT EXISTS registry;\n")
    port = free_port()
    options = {
        "datadir": folder / "data",
        "socket": folder / "socket",
        "pid-file": folder / "pid",
        "bind-address": "127.0.0.1",
        "port": port,
        "init-file": folder / "first.sql",
        "innodb-flush-log-at-trx-commit": 0,
    }
    command = [
        program,
        "--no-defaults",
        "--skip-grant-tables",
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    return Server([*command, "--user=root"] if os.getuid() == 0 else command, f"127.0.0.1:{port}")


def _wait_until_migrated(url: str) -> None:
    """It listens before its tables are there, and answers 503 until then."""
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
