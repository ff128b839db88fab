"""Runs: each experiment with its data, hyper-parameters, metrics and artifacts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sluice.errors import RegistryError
from sluice.registry import RunLog
from sluice.storage import Store


@pytest.fixture
def runs(any_store: Store, clock: Callable[[], datetime]) -> RunLog:
    return RunLog(any_store, "fraud", clock=clock)


def start(runs: RunLog, **hyper_parameters: object) -> str:
    return runs.start(
        data_version="d" * 64, settings_digest="5" * 64, seed=7, hyper_parameters={"trees": hyper_parameters}
    ).id


def test_a_run_is_running_until_it_is_finished(runs: RunLog) -> None:
    name = start(runs, depth=3)
    assert name == "20260101T000001-55555555"
    assert runs.get(name).status == "running"
    done = runs.finish(name, "promoted", metrics={"average_precision": 0.7}, artifacts={"version": "f" * 64})
    assert done == runs.get(name)
    assert (done.status, done.metrics["average_precision"], done.artifacts["version"]) == ("promoted", 0.7, "f" * 64)
    assert done.finished == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    with pytest.raises(RegistryError, match="finished already"):
        runs.finish(name, "failed")


def test_runs_are_listed_newest_first_and_compared(runs: RunLog) -> None:
    a, b = start(runs, depth=3, rate=0.1), start(runs, depth=5, rate=0.1)
    runs.finish(a, "refused", metrics={"ap": 0.6})
    runs.finish(b, "promoted", metrics={"ap": 0.6, "auc": 0.9})
    assert [run.id for run in runs.list()] == [b, a]
    rows = {row["what"]: (row[a], row[b]) for row in runs.compare(a, b)}
    assert rows == {
        "status": ("refused", "promoted"),
        "hyper_parameters.trees.depth": (3, 5),
        "metrics.ap": (0.6, 0.6),
        "metrics.auc": (None, 0.9),
    }


def test_two_runs_in_one_second_are_two_runs(any_store: Store) -> None:
    runs = RunLog(any_store, "fraud", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert [start(runs), start(runs)] == ["20260101T000000-55555555", "20260101T000000-55555555-2"]


def test_an_unknown_run_is_told(runs: RunLog) -> None:
    with pytest.raises(RegistryError, match="no run x"):
        runs.get("x")
    assert runs.list() == []
