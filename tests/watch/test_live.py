"""Windows that end at any time of the day: how often a quiet one alarms, and why they are whole days."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom
from watched import SCHEMA, START

from sluice.errors import WatchError
from sluice.settings.watch import Watch
from sluice.watch.alibi.judging import judged
from sluice.watch.alibi.live import comparison, refuse_short, table_of
from sluice.watch.alibi.sliding import Row

HOURS, DAYS = 24, 42
END = START + timedelta(days=DAYS, hours=15)
SETTINGS = Watch(draws=100).model_dump(mode="json")
TRIALS, RATE = 40, 0.1


def world(seed: int, per_hour: int = 3) -> pl.DataFrame:
    """Rows up to END, the last day's too: amounts rise and fall with the hour of the day, and each hour has its own."""
    random = np.random.default_rng(seed)
    count = (DAYS + 1) * HOURS
    hour = np.repeat(np.arange(count), per_hour)
    level = np.sin(2 * np.pi * np.arange(count) / HOURS) + random.normal(0, 0.3, count)
    amount = (level[hour] + random.normal(0, 1, len(hour))).astype(np.float32)
    first = np.datetime64((END - timedelta(days=DAYS + 1)).replace(tzinfo=None), "us")
    times = first + ((hour + random.random(len(hour))) * 3.6e9).astype("timedelta64[us]")
    return pl.DataFrame(
        {
            "event_time": pl.Series(times).dt.replace_time_zone("UTC"),
            "amount": amount,
            "shop": random.choice(["a", "b", "c"], len(hour)),
            "score": (1 / (1 + np.exp(-amount))).astype(np.float32),
        }
    ).sort("event_time")


def alarms(trials: int, window_hours: int, shift: float = 0.0) -> int:
    """How many of quiet worlds' last hours alarm."""
    found = 0
    for seed in range(trials):
        rows = world(seed)
        start = END - timedelta(days=1)
        reference = rows.filter(pl.col("event_time") < start).with_columns(
            held_out=pl.col("event_time") >= start - timedelta(days=7)
        )
        window = rows.filter(pl.col("event_time") >= END - timedelta(hours=window_hours))
        window = window.with_columns(pl.col("amount") + shift)
        found += bool(judged(*comparison(SCHEMA, reference, window, SETTINGS, seed).marginals(), RATE).moved.any())
    return found


def test_a_quiet_day_up_to_any_hour_alarms_at_the_rate_that_was_asked_for() -> None:
    assert alarms(TRIALS, HOURS) <= binom.ppf(0.999, TRIALS, RATE)


def test_a_day_that_moved_alarms() -> None:
    assert alarms(5, HOURS, shift=1.5) == 5


def test_part_of_a_day_would_alarm_though_nothing_moved() -> None:
    """Why a window of rows, which may be hours or weeks, is none that the calibration knows."""
    assert alarms(10, 6) > 5


def test_days_are_cut_where_the_window_ends_and_parts_of_days_are_left_out() -> None:
    rows = world(0)
    window = rows.filter(pl.col("event_time") >= END - timedelta(days=2))
    cut = rows.filter(pl.col("event_time") >= END - timedelta(days=40, hours=9)).with_columns(held_out=True)
    pair = comparison(SCHEMA, cut, window, SETTINGS, 0)
    assert len(pair.days) == 40 and pair.drawn.sum(axis=1).tolist() == [2] * 100
    sparse = comparison(SCHEMA, cut, window.gather_every(4), SETTINGS, 0)
    assert sparse.reference.height == pytest.approx(pair.reference.height / 4, abs=40)


def test_a_reference_that_is_too_short_is_refused_in_words() -> None:
    rows = world(0).filter(pl.col("event_time") >= END - timedelta(days=3))
    with pytest.raises(WatchError, match=r"a window of 1 days cannot be judged by a reference of \d whole days"):
        refuse_short(rows, 1)


def test_rows_become_the_table_that_the_monitor_reads() -> None:
    time_us = int(datetime.timestamp(START) * 1e6)
    rows = [Row(time_us, np.array(values, dtype=np.float32), 0.5) for values in ([1, 2], [np.nan, 1], [3, 0])]
    table = table_of(SCHEMA, rows)
    assert table["amount"].to_list() == [1.0, None, 3.0]
    assert table["shop"].to_list() == ["a", None, "\0unseen"]
    assert table["event_time"].to_list() == [START] * 3 and table["score"].to_list() == [0.5] * 3
    assert table_of(SCHEMA, []).height == 0
