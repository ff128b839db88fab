"""Splits by time: what each part may know, and where the test ends."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import DataError
from sluice.splits import split_rows
from splits.cases import DAY, START, TIME, label_stream, use_case, world


def test_parts_lie_back_to_back_and_labels_have_arrived() -> None:
    rows, labels = world(days=19, delay=2 * DAY)
    split = split_rows(use_case(TIME), rows, labels)
    assert split.spans["test"] == (START + 16 * DAY, START + 19 * DAY)
    assert split.spans["validation"] == (START + 11 * DAY, START + 14 * DAY)
    assert split.spans["train"] == (START + 1 * DAY, START + 11 * DAY)
    for name in ("train", "validation", "test"):
        times = getattr(split, name).get_column("event_time")
        start, end = split.spans[name]
        assert start <= times.min() and times.max() < end
    assert split.train.get_column("label_time").max() <= split.spans["validation"][0]
    assert split.left_out["train: no label yet"] == 7  # the last two days, but for the label of the very instant
    assert split.left_out["gap"] == 8 and split.left_out["before train"] == 4
    total = sum(part.height for part in (split.train, split.validation, split.test))
    assert total + sum(split.left_out.values()) == rows.height
    assert split.train.schema["label"] == pl.Float64


def test_a_planted_late_label_is_not_seen_by_training() -> None:
    rows, labels = world(days=18, delay=timedelta(hours=1))
    validation, test = START + 10 * DAY, START + 15 * DAY
    row = rows.row(0, named=True)
    corrections = [
        (row["event_id"], 1.0, row["event_time"], validation - DAY),
        (row["event_id"], 0.0, row["event_time"], validation + timedelta(microseconds=1)),
    ]
    seen = rows.filter(pl.col("event_time") == START + 11 * DAY).row(0, named=True)
    corrections += [
        (seen["event_id"], 1.0, seen["event_time"], test),
        (seen["event_id"], 0.0, seen["event_time"], test + DAY),
    ]
    last = rows.row(-1, named=True)
    corrections.append((last["event_id"], 0.0, last["event_time"], last["event_time"] + 90 * DAY))
    labels = pl.concat([labels, label_stream(corrections)]).sort("label_time", "event_id")
    split = split_rows(use_case(TIME | {"test_end": START + 18 * DAY}), rows, labels)

    def label(part: pl.DataFrame, event_id: str) -> float:
        return float(part.filter(pl.col("event_id") == event_id).get_column("label").item())

    assert label(split.train, row["event_id"]) == 1.0
    assert label(split.validation, seen["event_id"]) == 1.0
    assert label(split.test, last["event_id"]) == 0.0


def test_the_test_ends_before_the_first_day_that_waits_for_labels() -> None:
    rows, labels = world(days=22, delay=2 * DAY)
    reach = START + 22 * DAY
    split = split_rows(use_case(TIME), rows, labels.filter(pl.col("label_time") < reach))
    assert split.spans["test"][1] == START + 20 * DAY


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 60))
def test_no_part_knows_a_label_from_its_future(seed: int, hours: int) -> None:
    """Random delays, corrections and missing labels; each part's labels are the last of those that had arrived."""
    random = np.random.default_rng(seed)
    rows, _ = world(days=30)
    events = []
    for event_id, time in rows.select("event_id", "event_time").iter_rows():
        for _ in range(random.integers(0, 4)):
            events.append((event_id, float(random.integers(0, 2)), time, time + random.uniform(0, hours) * DAY / 24))
    labels = label_stream(events)
    end = START + 28 * DAY
    try:
        split = split_rows(use_case(TIME | {"test_end": end}), rows, labels)
    except DataError as error:
        assert "holds no" in error.message
        return
    known_at = {"train": split.spans["validation"][0], "validation": split.spans["test"][0], "test": None}
    for name, instant in known_at.items():
        for event_id, label, label_time in getattr(split, name).select("event_id", "label", "label_time").iter_rows():
            seen = [(e[3], e[1]) for e in events if e[0] == event_id and (instant is None or e[3] <= instant)]
            assert label_time == max(seen)[0] and (label_time, label) in seen
    ids = [set(getattr(split, name).get_column("event_id")) for name in known_at]
    assert len(set.union(*ids)) == sum(map(len, ids)) == rows.height - sum(split.left_out.values())


def test_a_row_that_never_gets_a_label_does_not_hold_the_test_back() -> None:
    rows, labels = world(days=19, delay=DAY)
    forgotten = rows.get_column("event_id")[40]
    split = split_rows(use_case(TIME), rows, labels.filter(pl.col("event_id") != forgotten))
    assert split.spans["test"][1] == START + 19 * DAY
    assert split.left_out["train: no label yet"] + split.left_out["validation: no label yet"] >= 1


def test_a_day_cut_short_is_no_whole_day() -> None:
    rows, labels = world(days=19)
    split = split_rows(use_case(TIME), rows.head(rows.height - 2), labels)
    assert split.spans["test"][1] == START + 18 * DAY


@pytest.mark.parametrize(
    ("days", "changes", "says"),
    [
        (17, {}, r"needs 18 days \(train 10d, validation 3d, gap 2d, test 3d\).* 17 days of them"),
        (18, {"test_end": START + 30 * DAY}, "the events run from 2018-04-01 to 2018-04-18"),
    ],
)
def test_too_few_days_are_told_with_what_each_part_needs(days: int, changes: dict[str, datetime], says: str) -> None:
    rows, labels = world(days)
    with pytest.raises(DataError, match=says):
        split_rows(use_case(TIME | changes), rows, labels)


def test_a_part_without_positives_is_refused() -> None:
    rows, labels = world(days=18)
    negative = pl.when(pl.col("event_time") >= START + 15 * DAY).then(0.0).otherwise("label")
    with pytest.raises(DataError, match="test holds no positive label among its 12 rows"):
        split_rows(use_case(TIME), rows, labels.with_columns(negative.alias("label")))


def test_labels_that_all_arrive_too_late_leave_train_empty() -> None:
    rows, labels = world(days=40, delay=12 * DAY)
    with pytest.raises(DataError, match=r"train is empty: .* 40 rows there have no label yet"):
        split_rows(use_case(TIME), rows, labels)


def test_no_rows_are_told() -> None:
    rows, labels = world(days=18)
    with pytest.raises(DataError, match="0 rows and 72 labels"):
        split_rows(use_case(TIME), rows.clear(), labels)
