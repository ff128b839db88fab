"""A lost online store made anew from history while a server answers: stale until it is there, then as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import redis
from servers import Redis, durable_redis
from serving_world import JSON, ROOT, Deployed, WorldTables, body, case, deploy, instance

from sluice.features.online import OnlineFeatures
from sluice_serving.traffic.process import ServerProcess
from sluice_serving.updater.building import rebuilt

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    made = durable_redis(tmp_path / "redis")
    made.server.start()
    yield made
    made.server.kill()


def test_answers_say_that_they_are_stale_until_the_state_is_there_again(
    world: WorldTables, server: Redis, tmp_path: Path
) -> None:
    use_case = case(features={"online": {"store": "redis", "address": server.address}})
    OnlineFeatures.open(use_case, tmp_path / "online", root=ROOT).materialise(*world.before())
    version: Deployed = deploy(use_case, tmp_path / "deployed")
    row = world.day.row(0, named=True)
    endpoint = ServerProcess(version.arguments(tmp_path / "server"), tmp_path / "server.log")
    try:
        endpoint.wait_ready(120)

        def ask() -> dict[str, Any]:
            answer = httpx.post(
                f"{endpoint.address}/v1/models/fraud:predict", content=body(instance(row)), headers=JSON, timeout=30
            )
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()["predictions"][0]
            return found

        before = ask()
        assert (before["stale"], before["unknown"]) == ([], [])
        host, port = server.address.split(":")
        with redis.Redis(host, int(port)) as client:
            client.flushall()
        lost = ask()
        assert (lost["stale"], lost["unknown"]) == (["events", "labels"], ["card", "terminal"])

        half_way: list[dict[str, Any]] = []

        def history() -> tuple[pl.DataFrame, pl.DataFrame]:
            return world.before()

        def watching(step: str, done: int, total: int, note: str = "") -> None:
            assert step and note and done <= total
            half_way.append(ask())

        done = rebuilt(use_case, tmp_path / "again", history, root=ROOT, progress=watching)
        assert done.materialised.kept == 0 and done.materialised.written > 0
        # The state of the first view is there, and the answer still does not pretend to be a fresh one.
        assert [answer["stale"] for answer in half_way] == [["events", "labels"]] * 3
        assert half_way[-1]["unknown"] == []
        assert ask() == before

        # What is rebuilt though it is there is stale meanwhile, too.
        half_way.clear()
        rebuilt(use_case, tmp_path / "again", history, fresh=True, root=ROOT, progress=watching)
        assert [answer["stale"] for answer in half_way] == [["events", "labels"]] * 3
        assert ask() == before
    finally:
        endpoint.stop()
