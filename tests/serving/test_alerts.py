"""Faults of real servers, seen by a real Prometheus, reach a webhook through a real Alertmanager, and clear."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from alerting_world import ROUTING, Webhook, states, value, watched, webhook
from monitored import Monitored
from servers import Redis, durable_redis, tool
from serving_world import JSON, ROOT, WITHIN, Deployed, WorldTables, body, case, instance
from stored_world import eventually

from sluice.features.online import OnlineFeatures
from sluice.watch.records import latest_span
from sluice_serving.traffic.process import ServerProcess
from tests.manifests.alerting import alerts
from tests.manifests.recorded import WEEK

SLOW = {"SluiceSlow"}
"""How fast this machine answers is not asked here."""
pytestmark = [pytest.mark.redis, pytest.mark.slow]


@contextmanager
def asked(server: ServerProcess, content: bytes) -> Iterator[None]:
    """Requests one after another, twenty a second, while the block lasts."""
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=WITHIN) as client:
            while not ended.wait(0.05):
                client.post(f"{server.address}/v1/models/fraud:predict", content=content, headers=JSON)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def store(tmp_path: Path, world: WorldTables) -> Iterator[Redis]:
    """A Redis with the state of history, which keeps it when it is killed."""
    made = durable_redis(tmp_path / "redis")
    made.server.start()
    features = {"online": {"store": "redis", "address": made.address}}
    OnlineFeatures.open(case(features=features), tmp_path / "updater", root=ROOT).materialise(*world.before())
    yield made
    made.server.kill()


@pytest.fixture
def server(deployed: Deployed, store: Redis, tmp_path: Path) -> Iterator[ServerProcess]:
    """A model server in front of it."""
    environment = {"SLUICE_STORE_URL": str(deployed.folder.parent / "store"), "SLUICE_REDIS": store.address}
    arguments = ["--store", "--model", "fraud", "--version", "champion", "--keys", str(deployed.keys)]
    arguments += ["--work", str(tmp_path / "work"), "--root", str(ROOT), "--linger", "0"]
    started = ServerProcess(arguments, tmp_path / "server.log", environment=environment)
    started.wait_ready(WITHIN)
    yield started
    started.stop()


def test_a_fault_reaches_who_is_to_hear_of_it_and_clears_when_it_is_gone(
    server: ServerProcess, store: Redis, world: WorldTables, tmp_path: Path
) -> None:
    model = Monitored(tmp_path / "model")
    sound = latest_span(model.now, WEEK, timedelta()).end
    model.record(sound)
    content = body(instance(world.day.row(0, named=True)))
    with (
        webhook() as told,
        model.exporter() as exporter,
        asked(server, content),
        watched(
            tmp_path / "watched", {"sluice-server": server.address, "sluice-exporter": exporter}, told
        ) as prometheus,
    ):
        eventually(lambda: (value(prometheus, "sluice:requests:rate5m") or 0) > 1)
        eventually(lambda: not set(states(prometheus)) - SLOW)

        store.server.kill()
        eventually(lambda: told.has("on-duty", "SluiceRequestsFail", "firing"))
        store.server.start()
        eventually(lambda: told.has("on-duty", "SluiceRequestsFail", "resolved"))

        model.record(sound + WEEK, verdict="violated", violated=["drift"], distance=0.4)
        eventually(lambda: told.has("team", "SluiceDrift", "firing"))
        model.record(sound + 2 * WEEK)
        eventually(lambda: told.has("team", "SluiceDrift", "resolved"))
        _nothing_else(told)


def _nothing_else(told: Webhook) -> None:
    expected = {("on-duty", "SluiceRequestsFail"), ("team", "SluiceDrift")}
    assert {(who, alert) for who, alert, _ in told.heard if alert not in SLOW} == expected


def test_the_example_of_routing_sends_each_alert_somewhere() -> None:
    tool("amtool", "check-config", str(ROUTING))
    for name, alert in alerts().items():
        labels = [f"alertname={name}", f"severity={alert['labels']['severity']}"]
        where = tool("amtool", "config", "routes", "test", "--config.file", str(ROUTING), *labels).strip()
        critical = "data-owners,on-duty" if name == "SluiceDataFault" else "on-duty"
        assert where == (critical if alert["labels"]["severity"] == "critical" else "team"), name
