"""The handbook's file, which nobody here made: the sweep against a count by hand, and tiles against the sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sluice.windows.definition import Aggregation, Stream, WindowView
from sluice.windows.materialise import build_states, entries_by_key
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep
from sluice.windows.tiles import answer, apply, empty
from windows.oracle import brute_force
from windows.worlds import part

HANDBOOK = Path(__file__).parents[2].parent / "shared/data/handbook/transactions.parquet"
DAY = 86_400_000_000
pytestmark = pytest.mark.skipif(not HANDBOOK.exists(), reason=f"the handbook's data are not at {HANDBOOK}")


def view(entity: str, stream: Stream, hop: int, **functions: str) -> WindowView:
    made = [Aggregation(f"{f}_{c}_{w}", c, f, w * DAY) for f, c in functions.items() for w in (1, 7, 30)]
    return WindowView(entity, entity, stream, hop, tuple(made))


CARD = {"count": "amount", "mean": "amount", "std": "amount", "max": "amount", "time_since_last": "amount"}
VIEWS = [view("card", "events", hop, **CARD) for hop in (1, DAY // 2)]
VIEWS += [view("terminal", "labels", hop, count="label", mean="label") for hop in (1, DAY)]


@pytest.fixture(scope="module")
def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and labels (seven days later)."""
    events = (
        pl.scan_parquet(HANDBOOK)
        .select(
            event_id=pl.col("TRANSACTION_ID").cast(pl.String),
            event_time=pl.col("TX_DATETIME").dt.replace_time_zone("UTC"),
            card=pl.col("CUSTOMER_ID").cast(pl.String),
            terminal=pl.col("TERMINAL_ID").cast(pl.String),
            amount=(pl.col("TX_AMOUNT") * 100).round().cast(pl.Int64),
            label=pl.col("TX_FRAUD").cast(pl.Float64),
        )
        .sort("event_time", "event_id")
        .collect()
    )
    labels = events.with_columns(label_time=pl.col("event_time") + pl.duration(days=7))
    return events, labels.sort("label_time", "event_id")


def tied(events: pl.DataFrame, entity: str) -> pl.Series:
    """Keys with two events in one second."""
    pairs = events.filter(pl.struct(entity, "event_time").is_duplicated())
    return pairs.get_column(entity).unique(maintain_order=True).head(4)


@pytest.mark.parametrize("asked", VIEWS, ids=lambda v: f"{v.entity}-{v.stream}-{v.hop_us}")
def test_a_sample_equals_the_count_by_hand(tables: tuple[pl.DataFrame, pl.DataFrame], asked: WindowView) -> None:
    events, labels = tables
    entries, questions = entries_of(asked, events, labels), questions_of(asked, events)
    answers = sweep(asked, entries, questions)
    for key in [*tied(events, asked.entity), *questions.get_column("key").sample(3, seed=5)]:
        mine = pl.col("key") == key
        rows = questions.with_row_index("row").filter(mine).tail(40)
        found = answers[rows.get_column("row")].to_numpy().T.astype(np.float64)
        expected = brute_force(asked, entries.filter(mine), rows)
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)
        exact = [a.function != "std" for a in asked.aggregations]
        assert np.array_equal(found[exact], expected[exact], equal_nan=True)


@pytest.mark.parametrize("asked", VIEWS, ids=lambda v: f"{v.entity}-{v.stream}-{v.hop_us}")
def test_tiles_built_in_july_and_updated_in_august_equal_the_sweep(
    tables: tuple[pl.DataFrame, pl.DataFrame], asked: WindowView
) -> None:
    events, labels = tables
    entries = entries_of(asked, events, labels)
    keys = [*tied(events, asked.entity)]
    mine = entries.filter(pl.col("key").is_in(keys))
    questions = questions_of(asked, events).filter(pl.col("key").is_in(keys))
    start = int(events.get_column("event_time").cast(pl.Int64)[-1]) - 20 * DAY
    states = build_states(asked, mine.filter(pl.col("arrival") < start), horizon_us=2 * DAY)
    questions = questions.filter(pl.col("time") >= start)
    expected = sweep(asked, mine, questions).to_numpy()
    pending = dict(entries_by_key(asked, mine.filter(pl.col("arrival") >= start)))
    done = dict.fromkeys(pending, 0)
    for row, (key, time, _, event_id) in zip(expected, questions.iter_rows(), strict=True):
        batch, state = pending[key], states.get(key, empty(asked))
        while done[key] < len(batch.event_ids) and (
            batch.time[done[key]] < time
            or (batch.time[done[key]] == time and (asked.stream == "labels" or batch.event_ids[done[key]] <= event_id))
        ):
            state = apply(asked, state, part(batch, [done[key]]), horizon_us=2 * DAY)
            done[key] += 1
        states[key] = state
        found, flags = answer(asked, state, time, event_id, None)
        assert not flags.ahead
        assert found.tobytes() == row.astype(np.float64).tobytes()
