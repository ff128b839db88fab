"""A model in a real MinIO, and servers that fetch it from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import Bucket, free_port
from serving_world import JSON, NOW, WITHIN, body, case, linear_graph

from sluice import digests
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.registry.version import Version
from sluice.settings import UseCase
from sluice.storage import open_store
from sluice_serving.traffic.process import ServerProcess

ROW = {"event_id": "1", "card": "c", "terminal": "t", "amount": 12.5, "event_time": "2018-08-01T00:00:00Z"}


def plain() -> UseCase:
    """A use case without windows, which needs no online store."""
    return case(
        features={"repo": None, "service": None, "request": [{"kind": "value", "name": "amount", "column": "amount"}]}
    )


class Stored:
    """A model's registry in a bucket."""

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self.bucket, self.use_case = bucket, plain()
        self.keys = Keys.ensure(folder / "keys")
        store = open_store(bucket.storage, credentials=bucket.credentials)
        folder.mkdir(exist_ok=True)
        self.registry = Registry(store, self.use_case.name, clock=lambda: NOW, actor="gate", keys=self.keys)
        self.public = folder / "public"
        self.public.mkdir()
        (self.public / "gate.pub").write_bytes((self.keys.folder / "gate.pub").read_bytes())

    def promote(self, seed: int = 0) -> Version:
        """Make a version the champion."""
        folder = self.public.parent / f"files-{seed}"
        schema = FeatureSchema((FeatureColumn("amount", fill=0.0),))
        folder.mkdir()
        (folder / "model.onnx").write_bytes(linear_graph(self.use_case, 1, seed))
        (folder / "schema.json").write_bytes(digests.canonical_json(schema.document()))
        (folder / "settings.json").write_text(self.use_case.model_dump_json(by_alias=True))
        version = self.registry.add_version(folder, {"seed": seed})
        head = self.registry.head()
        self.registry.decide("promoted", version=version.digest, expected_head=head, reason="it is better")
        return version

    @property
    def environment(self) -> dict[str, str]:
        """What the server's pod would have."""
        storage = self.bucket.storage
        return {
            **self.bucket.environment,
            "SLUICE_STORE_URL": storage.url,
            "SLUICE_STORE_ENDPOINT": str(storage.endpoint),
            "SLUICE_STORE_REGION": storage.region,
            "SLUICE_STORE_ALLOW_HTTP": str(storage.allow_http).lower(),
            "SLUICE_STORE_CA": storage.ca or "",
        }

    def arguments(self, version: str) -> list[str]:
        """Of `python -m sluice_serving`."""
        return ["--store", "--model", self.use_case.name, "--version", version, "--keys", str(self.public)]

    def objects(self) -> list[tuple[str, str]]:
        """All objects with their tags."""
        return sorted(self.registry.store.tags())


@pytest.fixture
def stored(own_minio: Bucket, tmp_path: Path) -> Stored:
    """A model without a version, in a MinIO that the test may end."""
    return Stored(own_minio, tmp_path)


Serve = Callable[..., ServerProcess]


@pytest.fixture
def serve(stored: Stored, tmp_path: Path) -> Iterator[Serve]:
    """Start a server for the stored model; `serve.log` holds what it said."""
    servers: list[ServerProcess] = []

    def started(version: str = "champion", *, linger: str = "0") -> ServerProcess:
        arguments = [*stored.arguments(version), "--work", str(tmp_path / "work"), "--linger", linger]
        port = free_port()
        server = ServerProcess(arguments, tmp_path / "server.log", port=port, environment=stored.environment)
        server.address = f"http://127.0.0.1:{port}"
        servers.append(server)
        return server

    yield started
    for server in servers:
        server.kill()


def eventually(check: Callable[[], Any]) -> Any:
    """What `check` gives once it gives something."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def status(server: ServerProcess, path: str) -> int | None:
    """The status of an answer, None where nobody listens."""
    try:
        return httpx.get(server.address + path, timeout=WITHIN).status_code
    except httpx.TransportError:
        return None


def score(server: ServerProcess) -> httpx.Response:
    """The answer to one row."""
    return httpx.post(f"{server.address}/v1/models/fraud:predict", content=body(ROW), headers=JSON, timeout=WITHIN)
