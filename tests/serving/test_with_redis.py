"""A server in front of a real Redis that another machine holds: late, with a password, cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import redis
from servers import Redis, free_port
from serving_world import JSON, ROOT, Deployed, WorldTables, body, case, instance
from stored_world import WITHIN, eventually, status

from sluice.features.online import OnlineFeatures
from sluice.features.redis_rows import PASSWORD
from sluice_serving.traffic.process import ServerProcess

pytestmark = pytest.mark.redis


@pytest.fixture
def serve(deployed: Deployed, own_redis: Redis, tmp_path: Path) -> Iterator[Callable[[], ServerProcess]]:
    """Start a server for the champion in a folder's store; the version itself names SQLite."""
    environment = {
        "SLUICE_STORE_URL": str(deployed.folder.parent / "store"),
        "SLUICE_REDIS": own_redis.address,
        PASSWORD: own_redis.password,
    }
    arguments = ["--store", "--model", "fraud", "--version", "champion", "--keys", str(deployed.keys)]
    arguments += ["--work", str(tmp_path / "work"), "--root", str(ROOT), "--linger", "0"]
    servers: list[ServerProcess] = []

    def started() -> ServerProcess:
        port = free_port()
        server = ServerProcess(arguments, tmp_path / "server.log", port=port, environment=environment)
        server.address = f"http://127.0.0.1:{port}"
        servers.append(server)
        return server

    yield started
    for server in servers:
        server.kill()


def fill(world: WorldTables, own_redis: Redis, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """History into Redis, as the pipeline's step does."""
    monkeypatch.setenv(PASSWORD, own_redis.password)
    features = {"online": {"store": "redis", "address": own_redis.address}}
    OnlineFeatures.open(case(features=features), folder, root=ROOT).materialise(*world.before())


def features_of(server: ServerProcess, row: dict[str, Any]) -> dict[str, np.float32]:
    """As the answer tells them."""
    sent = body(instance(row))
    answer = httpx.post(f"{server.address}/v1/models/fraud:predict", content=sent, headers=JSON, timeout=30)
    assert answer.status_code == 200, answer.text
    names, found = answer.json()["feature_names"], answer.json()["predictions"][0]["features"]
    return {name: np.float32(np.nan if value is None else value) for name, value in zip(names, found, strict=True)}


def test_it_waits_for_redis_says_so_and_then_answers_like_history(
    world: WorldTables,
    own_redis: Redis,
    serve: Callable[[], ServerProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_redis.server.kill()
    server = serve()
    log = tmp_path / "server.log"
    # Each question about readiness is what makes it look; the first ones are answered before the version is here.
    eventually(lambda: status(server, "/v2/health/ready") == 503 and "online store does not answer" in log.read_text())
    assert status(server, "/v2/health/live") == 200

    own_redis.server.start()
    fill(world, own_redis, tmp_path / "updater", monkeypatch)
    server.wait_ready(WITHIN)

    row = world.day.row(0, named=True)
    expected = world.rows.filter(pl.col("event_id") == row["event_id"]).row(0, named=True)
    first = features_of(server, row)
    # What is missing has its fill in this version: 0.
    assert first == {name: np.float32(expected[name] or 0.0) for name in first}

    with redis.Redis(*own_redis.address.split(":"), password=own_redis.password) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    assert features_of(server, row) == first
