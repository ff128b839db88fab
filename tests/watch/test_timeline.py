"""The timeline of a planted world: a version falls, a training run follows, its successor is as good as promised."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from planted import DAY, NOW, START, Planted, planted

from sluice.errors import WatchError
from sluice.registry import open_registry
from sluice.report.timeline import marks_of, write_timeline_files
from sluice.report.timeline_marks import Mark
from sluice.watch.acting import Acted, act
from sluice.watch.drift import Drift
from sluice.watch.monitor import gather, judge
from sluice.watch.timeline import Timeline, read_timeline

FIRST = 56
END = START + (FIRST + 42) * DAY + timedelta(hours=1)
CHANGED = Mark(START + FIRST * DAY, "world", "prices rise", "From here on prices are higher.")


def look(world: Planted, day: int, *, distance: float = 0.02, fault: str | None = None) -> Acted:
    """The monitor with what the detectors would say put in their place."""
    part = {"feature": "amount", "distance": distance, "usual": 0.05, "moved": distance > 0.1, "fault": fault}
    verdict = "data-fault" if fault else "drift" if distance > 0.1 else "quiet"
    document = {"verdict": verdict, "p_value": 0.5, "features": [part], "score": part, "classifier": part}
    at = START + day * DAY + timedelta(hours=1)
    gathered = gather(world.registry, world.use_case, at=at, now=NOW)
    judge(world.registry, gathered, Drift(document, pl.DataFrame(), gathered.window))
    return act(world.registry, world.use_case, at=at)


def succeed(world: Planted, run: str, folder: Path) -> Planted:
    """The world after a run whose version the gate promoted."""
    registry = open_registry(world.use_case, clock=lambda: NOW, actor=f"gate of run {run}")
    (folder / "version" / "model.onnx").write_text("another graph")
    digest = registry.add_version(folder / "version", {"threshold": 0.5}).digest
    evidence = {name: folder / name for name in ("sealed_scores.parquet", "reference.parquet")}
    registry.settle("promoted", version=digest, against=world.version, evidence=evidence)
    return Planted(world.use_case, registry, digest, world.events)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    folder = tmp_path_factory.mktemp("world")
    world = planted(folder, per_day=70, evaluation__bootstrap__resamples=100, watch__performance__days=14)
    world.answer(FIRST, FIRST + 21, flip=True)
    assert look(world, FIRST + 7, distance=0.3).run is None
    acted = look(world, FIRST + 14, distance=0.3)
    assert acted.run is not None
    later = succeed(world, acted.run, folder)
    later.answer(FIRST + 21, FIRST + 42)
    for day in (FIRST + 28, FIRST + 35, FIRST + 42):
        look(later, day)
    since = START + FIRST * DAY
    return read_timeline(later.registry, later.use_case, since=since, at=END, now=NOW)


def test_each_version_has_its_chapter_with_all_labels_that_are_in(told: Timeline) -> None:
    first, second = told.chapters
    assert (len(first.days), len(second.days)) == (21, 21)
    assert all(day.mature for day in first.days), "labels of the first version arrived after it was replaced"
    assert [day.mature for day in second.days] == [True] * 14 + [False] * 7
    assert first.days[0].metrics["average_precision"].estimate < 0.3
    assert second.days[0].metrics["average_precision"].estimate > 0.5


def test_the_marks_tell_the_story_in_its_order(told: Timeline) -> None:
    marks = marks_of(told, [CHANGED])
    assert [(mark.kind, mark.text) for mark in marks] == [
        ("world", "prices rise"),
        ("drift", "drift found"),
        ("fall", "below the promise"),
        ("run", "trained anew: promoted"),
        ("kept", "as promised again"),
    ]
    assert "drift in amount 0.30 (usual up to 0.05)" in marks[1].told
    assert told.acts[0].decision.figures["run"] in marks[3].told


def test_page_and_picture_need_nothing_but_themselves(told: Timeline, tmp_path: Path) -> None:
    files = write_timeline_files(told, marks_of(told, [CHANGED]), tmp_path, about=["A planted world."], written=NOW)
    page, picture = files.report.read_text(), files.picture.read_text()
    for text in (page, picture):
        assert "://" not in text.replace("http://www.w3.org", "")
    assert all(one in page for one in ("As promised", "prices rise", "A planted world.", "The monitor started run"))
    assert "drift found" in picture and "#0a00" not in picture
    document: dict[str, Any] = json.loads(files.document.read_text())
    assert [len(chapter["windows"]) for chapter in document["chapters"]] == [2, 3]


def test_a_broken_column_is_marked_as_a_data_fault_and_trains_nothing(tmp_path: Path) -> None:
    world = planted(tmp_path, per_day=70, evaluation__bootstrap__resamples=100, watch__rules__violated=1)
    world.answer(FIRST, FIRST + 7, amount=100.0)
    acted = look(world, FIRST + 7, distance=0.9, fault="99% lie outside of the reference's range")
    assert acted.run is None and acted.decision is not None and acted.decision.kind == "alerted"
    since, at = START + FIRST * DAY, START + (FIRST + 8) * DAY
    told = read_timeline(world.registry, world.use_case, since=since, at=at, now=NOW)
    assert [(mark.kind, mark.text) for mark in marks_of(told)] == [("alert", "data fault")]


def test_what_nobody_looked_at_has_no_timeline(tmp_path: Path) -> None:
    world = planted(tmp_path)
    with pytest.raises(WatchError, match="nothing is recorded"):
        read_timeline(world.registry, world.use_case, since=START, at=END, now=NOW)
