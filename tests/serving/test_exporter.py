"""The exporter as a process: what it tells of windows and log, and what it does when the store cannot be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from monitored import Monitored, scraped
from stored_world import eventually

from sluice.watch.records import latest_span
from tests.manifests.recorded import WEEK

HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> Monitored:
    return Monitored(tmp_path / "world")


def test_windows_are_told_as_they_are_recorded_and_those_of_a_former_champion_are_not(world: Monitored) -> None:
    first = latest_span(world.now, WEEK, timedelta()).end + WEEK
    with world.exporter() as address:
        eventually(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        found = scraped(address)
        assert found["sluice_monitor_window_due_timestamp_seconds", ""] == (first + HOUR).timestamp()
        assert found["sluice_monitor_action", "none"] == 1 and ("sluice_monitor_window_answers", "") not in found

        world.record(first)
        world.record(first + WEEK, verdict="data-fault", violated=["performance"], broken=["amount"], distance=0.3)
        eventually(lambda: scraped(address).get(("sluice_monitor_violated", "performance")) == 1)
        found = scraped(address)
        assert found["sluice_monitor_window_due_timestamp_seconds", ""] == (first + 2 * WEEK + HOUR).timestamp()
        assert found["sluice_monitor_window_end_timestamp_seconds", ""] == (first + WEEK).timestamp()
        assert (found["sluice_monitor_window_answers", ""], found["sluice_monitor_window_tested", ""]) == (1000, 990)
        verdicts = {key[1]: value for key, value in found.items() if key[0] == "sluice_monitor_window_verdict"}
        assert verdicts == {"quiet": 0, "thin": 0, "violated": 0, "data-fault": 1}
        assert found["sluice_monitor_column_broken", "amount"] == 1 and found["sluice_monitor_violated", "drift"] == 0
        distances = {key[1]: value for key, value in found.items() if key[0] == "sluice_monitor_drift_distance"}
        assert distances == {"amount": 0.3, "score": 0.3, "all features together": 0.3}
        assert found["sluice_monitor_performance", "average_precision low"] == 0.55
        assert found["sluice_monitor_performance_drop", "average_precision estimate"] == 0

        world.promote(1)
        eventually(lambda: ("sluice_monitor_violated", "performance") not in scraped(address))
        assert scraped(address)["sluice_decisions", "promoted"] == 2


def test_a_training_run_is_open_until_the_gate_has_judged_it(world: Monitored) -> None:
    end = latest_span(world.now, WEEK, timedelta()).end
    world.record(end, verdict="violated", violated=["drift"])
    key = f"monitoring/fraud/windows/{world.version}/{end:%Y%m%dT%H%M%SZ}.json"
    figures = {"window": key, "cause": "violated", "at": end.isoformat(), "windows": [], "run": "monitor-1"}
    decided = world.registry.decide(
        "retraining", version=world.version, expected_head=1, reason="drift", figures=figures
    )
    with world.exporter() as address:
        name = "sluice_monitor_open_run_timestamp_seconds"
        eventually(lambda: scraped(address).get((name, "")) == decided.time.timestamp())
        assert scraped(address)["sluice_monitor_action", "retraining"] == 1
        world.registry.actor = "gate of run monitor-1-2"
        world.registry.decide("refused", version=world.version, expected_head=2, reason="no better")
        eventually(lambda: (name, "") not in scraped(address))


def test_a_store_that_cannot_be_believed_is_told_and_the_last_state_stays(world: Monitored) -> None:
    world.record(latest_span(world.now, WEEK, timedelta()).end, verdict="violated", violated=["drift"])
    with world.exporter() as address:
        eventually(lambda: scraped(address).get(("sluice_monitor_violated", "drift")) == 1)
        log = world.place / "registry" / "fraud" / "log"
        (log / "00000002.json").write_text('{"format": 1, "model": "fraud", "kind": "frozen"}')
        eventually(lambda: scraped(address)["sluice_monitor_store_up", ""] == 0)
        assert scraped(address)["sluice_monitor_violated", "drift"] == 1
        (log / "00000002.json").unlink()
        eventually(lambda: scraped(address)["sluice_monitor_store_up", ""] == 1)
    assert "00000002" in (world.folder / "exporter.log").read_text()


def test_before_anything_is_live_it_is_alive_and_not_ready(world: Monitored) -> None:
    (world.place / "registry" / "fraud" / "log" / "00000001.json").unlink()
    with world.exporter() as address:
        eventually(lambda: "no champion" in (world.folder / "exporter.log").read_text())
        assert httpx.get(f"{address}/health/live").status_code == 200
        assert httpx.get(f"{address}/health/ready").status_code == 503
        assert scraped(address) == {("sluice_monitor_store_up", ""): 0}
