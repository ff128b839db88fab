"""The replay of the electricity market: its settings, its answers in the ledger, its table and its picture."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from elec2 import OVERLAY, USE_CASE, case_of, weeks_of
from elec2_picture import draw
from elec2_replay import POLICIES, record_answers
from elec2_story import Story, Training, stories_table, what_happened
from rich.console import Console

from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.registry import open_registry
from sluice.registry.servable import Servable
from sluice.watch.answered import answered, feature_table

ROOT = Path(__file__).parents[2]
FIRST = datetime(1996, 5, 7, tzinfo=UTC)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def half_hours(first: datetime, days: int) -> pl.Series:
    return pl.Series("event_time", [first + i * HALF_HOUR for i in range(48 * days)], dtype=pl.Datetime("us", "UTC"))


def test_each_policy_has_settings_and_the_replay_begins_where_the_first_training_ends(tmp_path: Path) -> None:
    assert (ROOT / USE_CASE).exists() and (ROOT / OVERLAY).exists()
    cases = [case_of(tmp_path / "elec2.parquet", tmp_path, policy.overlays) for policy in POLICIES]
    assert {case.gate.metric for case in cases} == {"accuracy"}
    weeks = weeks_of(cases[0], pl.DataFrame([half_hours(FIRST, 944)]))
    assert weeks[0].start == datetime(1997, 3, 13, tzinfo=UTC) and weeks[0].start.strftime("%a") == "Thu"
    assert all(one.end == other.start for one, other in pairwise(weeks))
    assert weeks[-1].end + cases[0].watch.settle <= FIRST + timedelta(days=944)


def test_what_is_recorded_is_what_the_monitor_reads(tmp_path: Path) -> None:
    case = case_of(tmp_path / "elec2.parquet", tmp_path)
    registry = open_registry(case, clock=lambda: LATER, actor="test")
    schema = FeatureSchema((FeatureColumn("price"), FeatureColumn("demand")))
    champion = Servable("d" * 64, case.name, case, schema, b"", {})
    time = half_hours(FIRST, 3)
    events = pl.DataFrame([time]).with_row_index("event_id").with_columns(pl.col("event_id").cast(pl.String))
    matrix = np.random.default_rng(1).normal(size=(events.height, 2)).astype(np.float32)
    matrix[5, 1] = np.nan
    score = np.linspace(0, 1, events.height, dtype=np.float32)
    record_answers(registry, champion, events, matrix, score)
    start, end = FIRST + timedelta(days=1), FIRST + timedelta(days=3)
    found = answered(registry.store, case, champion.digest, start, end, events=events.clear(), now=LATER)
    table = feature_table(found, schema)
    assert table.height == 96 and table["event_time"].to_list() == time[48:].to_list()
    np.testing.assert_array_equal(table.select("price", "demand").to_numpy(), matrix[48:])
    np.testing.assert_array_equal(table["score"].to_numpy(), score[48:])
    whole = answered(registry.store, case, champion.digest, FIRST, end, events=events.clear(), now=LATER)
    assert feature_table(whole, schema)["demand"].null_count() == 1


def told(name: str, noise: float, trainings: list[Training]) -> Story:
    random = np.random.default_rng(3)
    time = half_hours(FIRST, 28)
    label = random.random(len(time)) < 0.4
    score = np.clip(0.25 + 0.5 * label + random.normal(0, noise, len(time)), 0.01, 0.99)
    ids = pl.Series("event_id", [str(i) for i in range(len(time))])
    scored = pl.DataFrame([ids, time]).with_columns(label=pl.Series(label).cast(pl.Float64), score=pl.Series(score))
    return Story(name, scored, trainings, [(FIRST + timedelta(days=9), "drift in price")] if trainings else [])


def test_table_and_picture_tell_each_policy(tmp_path: Path) -> None:
    day = FIRST + timedelta(days=7)
    later = Training(day + timedelta(days=7), "refused", ("champion",), "no")
    trainings = [Training(day, "promoted", (), "passed"), later]
    stories = [told("never", 0.3, []), told("rules, told", 0.2, trainings), told("previous label", 0.5, [])]
    case = case_of(tmp_path / "elec2.parquet", tmp_path)
    page = Console(file=io.StringIO(), width=200)
    page.print(stories_table(stories, case))
    assert isinstance(page.file, io.StringIO)
    lines = [line for line in page.file.getvalue().splitlines() if "rules, told" in line]
    assert len(lines) == 1 and "(+" in lines[0]
    assert list(what_happened(stories[1]))[1] == "rules, told: refused by champion 1x"
    picture = draw(stories, title="accuracy by week")
    assert picture.startswith("<svg") and "NaN" not in picture
    assert all(one.name in picture for one in stories)


def test_a_missing_table_is_told_by_its_path(tmp_path: Path) -> None:
    missing = tmp_path / "elec2.parquet"
    command = [
        sys.executable,
        str(ROOT / "bench" / "elec2.py"),
        "--data",
        str(missing),
        "--work",
        str(tmp_path / "work"),
    ]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert said.returncode == 2
    assert str(missing) in said.stderr and "Traceback" not in said.stderr
