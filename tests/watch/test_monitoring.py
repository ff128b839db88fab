"""The monitor on planted worlds: labels that come late, quiet, broken and fallen windows, and a repeated run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import DAY, LATE, NOW, START, Planted, planted
from prometheus_client import CollectorRegistry
from sklearn.metrics import average_precision_score

from sluice.registry import RunLog, why
from sluice.report.monitor import write_monitor_files
from sluice.watch.acting import act
from sluice.watch.monitor import Watched, watch
from sluice.watch.records import read_windows, record_window
from sluice_serving.exporter.metrics import MonitorCollector
from sluice_serving.exporter.reading import Reader

pytestmark = pytest.mark.slow
FIRST = 56
"""The first day of a window of seven days since 1970 after the champion's training (2026-02-26, a Thursday)."""


@pytest.fixture
def world(tmp_path: Path) -> Planted:
    return planted(tmp_path)


def seen(world: Planted, day: int, python: Path) -> Watched:
    return watch(world.registry, world.use_case, at=START + day * DAY + DAY / 12, now=NOW, python=python)


def test_a_quiet_world_is_measured_where_labels_have_arrived(world: Planted, python: Path, tmp_path: Path) -> None:
    world.answer(FIRST, FIRST + 21)
    found = seen(world, FIRST + 21, python)
    assert (found.window["verdict"], found.window["violated"]) == ("quiet", [])
    at = START + (FIRST + 21) * DAY + DAY / 12
    for day in found.days:
        rows = world.events.filter(pl.col("time").dt.date() == day.day)
        labelled = rows.filter(pl.col("time") + LATE <= at)
        assert (day.answers, day.labelled) == (rows.height, labelled.height)
        assert day.mature == (labelled.height == rows.height)
        if day.metrics:
            by_sklearn = average_precision_score(labelled["label"], labelled["score"])
            assert day.metrics["average_precision"].estimate == pytest.approx(by_sklearn, abs=1e-9)
    assert found.pooled["through"] == (START + (FIRST + 13) * DAY).date().isoformat()
    assert found.error["days"] == 14 and found.error["mean_absolute"] < 0.15
    assert act(world.registry, world.use_case, at=found.gathered.at).decision is None
    _told_by_the_exporter(world, found)
    files = write_monitor_files(found, world.registry.log(), tmp_path / "out", written=NOW)
    assert pl.read_parquet(files.table)["day"][0] == date(2026, 2, 26)
    assert "://" not in files.report.read_text().replace("http://www.w3.org", "")


def _told_by_the_exporter(world: Planted, found: Watched) -> None:
    """What the exporter tells of a window is what the monitor recorded."""
    reader = Reader(world.registry, world.use_case.watch, lambda _: None, NOW.timestamp)
    reader.read()
    registry = CollectorRegistry()
    registry.register(MonitorCollector("fraud", reader))

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(
            f"sluice_monitor_{name}", {"model": "fraud", "version": world.version, **labels}
        )

    amount = found.window["drift"]["features"][0]
    assert told("drift_distance", feature="amount") == amount["distance"]
    assert told("drift_usual", feature="score") == found.window["drift"]["score"]["usual"]
    measured = found.window["performance"]["measured"]
    assert told("performance", metric="average_precision", bound="low") == measured["low"]
    assert told("window_verdict", verdict="quiet") == 1 and told("violated", test="drift") == 0
    assert told("window_tested") == found.window["tested"] > 0


def test_two_fallen_windows_start_one_run_and_a_repeat_names_it_again(world: Planted, python: Path) -> None:
    world.answer(FIRST, FIRST + 28, flip=True)
    verdicts = []
    for day in (FIRST + 14, FIRST + 21):
        found = seen(world, day, python)
        verdicts.append(found.window["violated"])
        acted = act(world.registry, world.use_case, at=found.gathered.at)
    assert all("performance" in one for one in verdicts)
    assert acted.decision is not None and acted.decision.kind == "retraining" and acted.retrains
    again = seen(world, FIRST + 21, python)
    repeated = act(world.registry, world.use_case, at=again.gathered.at)
    assert again.repeated and again.window == found.window
    assert (repeated.decision, repeated.run) == (acted.decision, acted.run)
    at, acts = START + (FIRST + 28) * DAY, world.registry
    next_week = {"start": found.gathered.span.end.isoformat(), "end": at.isoformat()}
    record_window(acts.store, found.window | next_week)
    assert act(acts, world.use_case, at=at).run == acted.run, "the next window waits for the run that was decided"
    frozen = acts.freeze(reason="audit")
    assert not act(acts, world.use_case, at=at).retrains
    acts.unfreeze(reason=f"after {frozen.number}")
    runs = RunLog(acts.store, "fraud", clock=lambda: NOW)
    for attempt in range(3):
        assert act(acts, world.use_case, at=at).run == acted.run
        runs.start(data_version="", settings_digest="", seed=attempt, hyper_parameters={}, run_id=acted.run)
    assert not act(acts, world.use_case, at=at).retrains, "it was begun three times and never ended"
    assert len(read_windows(world.registry.store, "fraud", world.version)) == 3
    told = why(world.registry)["text"]
    assert f"The monitor started run {acted.run}" in told and "average precision" in told


def test_a_broken_column_alerts_and_trains_nothing(world: Planted, python: Path) -> None:
    world.answer(FIRST, FIRST + 21, amount=100.0)
    for day in (FIRST + 14, FIRST + 21):
        found = seen(world, day, python)
        assert found.window["verdict"] == "data-fault"
        act(world.registry, world.use_case, at=found.gathered.at)
    kinds = [decision.kind for decision in world.registry.log()]
    assert "alerted" in kinds and "retraining" not in kinds


def test_what_is_frozen_is_not_trained(world: Planted, python: Path) -> None:
    world.answer(FIRST, FIRST + 21, flip=True)
    world.registry.freeze(reason="audit")
    for day in (FIRST + 14, FIRST + 21):
        acted = act(world.registry, world.use_case, at=seen(world, day, python).gathered.at)
    assert acted.decision is not None and acted.decision.kind == "alerted" and not acted.retrains
    assert "frozen: audit" in acted.decision.reason


def test_expected_average_precision_is_the_mean_over_labels_drawn_from_the_scores() -> None:
    from sluice.watch.estimate import expected

    random = np.random.default_rng(1)
    p = np.round(random.random(300) ** 3, 2)
    drawn = [average_precision_score(random.random(300) < p, p) for _ in range(600)]
    assert expected("average_precision", p, p) == pytest.approx(np.mean(drawn), abs=0.01)
