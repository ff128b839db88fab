"""Small random worlds: ties, late arrivals, corrections, missing values and keys, several hops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from sluice.windows.definition import Aggregation, Stream, WindowView
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.tiles import Entries, TileState

OVER = {
    "events": ("amount", ("count", "sum", "mean", "std", "min", "max", "time_since_last")),
    "labels": ("label", ("count", "sum", "mean", "std")),
}
INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class World:
    """One view, its streams, and what is asked."""

    view: WindowView
    events: pl.DataFrame
    labels: pl.DataFrame
    entries: pl.DataFrame
    questions: pl.DataFrame


def view_of(stream: Stream, hop: int, widths: tuple[int, ...] = (1, 2, 5)) -> WindowView:
    """All functions that the stream allows, `widths` hops wide."""
    column, functions = OVER[stream]
    made = tuple(Aggregation(f"{f}_{w}", column, f, w * hop) for f in functions for w in widths)
    return WindowView("card", "card", stream, hop, made)


def events_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """An events table of rows with times in microseconds."""
    whole = {"event_id": pl.String, "event_time": pl.Int64, "arrival": pl.Int64, "card": pl.String, "amount": pl.Int64}
    times = pl.col("event_time", "arrival").cast(INSTANT)
    return pl.DataFrame(rows, schema=whole).with_columns(times).sort("event_time", "event_id")


def labels_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A label stream of rows with times in microseconds."""
    whole = {"event_id": pl.String, "label": pl.Float64, "label_time": pl.Int64, "card": pl.String}
    return (
        pl.DataFrame(rows, schema=whole)
        .with_columns(pl.col("label_time").cast(INSTANT))
        .sort("label_time", "event_id", maintain_order=True)
    )


_AMOUNTS = st.one_of(st.none(), st.integers(-5, 5), st.integers(10**9, 10**9 + 3), st.just(-(2**31)))
_EVENT = st.fixed_dictionaries(
    {
        "event_time": st.integers(-20, 20),
        "lag": st.sampled_from([0, 0, 1, 4, 15]),
        "card": st.sampled_from(["a", "a", "b", None]),
        "amount": _AMOUNTS,
        "labels": st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 1.0, None])), max_size=3),
    }
)


@st.composite
def worlds(draw: st.DrawFn, stream: Stream | None = None, late: bool | None = None) -> World:
    """Any world; `stream` and `late` settle which stream, and whether events come late."""
    chosen: Stream = stream or draw(st.sampled_from(["events", "labels"]))
    may_be_late = draw(st.booleans()) if late is None else late
    view = view_of(chosen, draw(st.sampled_from([1, 3, 7])))
    rows = draw(st.lists(_EVENT, max_size=14))
    names = draw(st.permutations([f"e{i}" for i in range(len(rows))]))
    events, labels = [], []
    for name, row in zip(names, rows, strict=True):
        lag = row["lag"] if may_be_late else 0
        known, time = row["event_time"] + lag, row["event_time"]
        events.append({"event_id": name, "event_time": time, "arrival": known, **_only(row, "card", "amount")})
        for delay, label in row["labels"]:
            time += delay
            labels.append({"event_id": name, "label": label, "label_time": time, "card": row["card"]})
    tables = events_of(events), labels_of(labels)
    return World(view, *tables, entries_of(view, *tables), questions_of(view, tables[0]))


@st.composite
def worlds_asked_early(draw: st.DrawFn) -> World:
    """Worlds whose events are asked about some time before they themselves arrive."""
    world = draw(worlds())
    count = world.questions.height
    ahead = pl.Series(draw(st.lists(st.sampled_from([0, 1, 5, 20]), min_size=count, max_size=count)), dtype=pl.Int64)
    return replace(world, questions=world.questions.with_columns(arrival=pl.col("arrival") - ahead))


@st.composite
def worlds_asked_freely(draw: st.DrawFn) -> World:
    """Worlds with questions that are no events: in any order, of unknown keys, without ids, as of other instants."""
    world = draw(worlds())
    questions = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "key": st.sampled_from(["a", "b", "never seen", None]),
                    "time": st.integers(-25, 45),
                    "arrival": st.integers(-25, 45),
                    "event_id": st.sampled_from([None, "a", "e0", "e1", "e2", "z"]),
                }
            ),
            max_size=8,
        )
    )
    whole = {"key": pl.String, "time": pl.Int64, "arrival": pl.Int64, "event_id": pl.String}
    return World(world.view, world.events, world.labels, world.entries, pl.DataFrame(questions, schema=whole))


def part(batch: Entries, places: list[int]) -> Entries:
    """Some entries of a batch, in the order of `places`."""
    return Entries(
        [batch.event_ids[i] for i in places],
        batch.time[places],
        batch.arrival[places],
        batch.sign[places],
        batch.values[:, places],
    )


def same_state(left: TileState, right: TileState) -> bool:
    """Whether two states are equal in every number."""
    arrays = ("tile_index", "tile_stats", "recent")
    return (left.recent_ids, left.time, left.arrival) == (right.recent_ids, right.time, right.arrival) and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays
    )


def _only(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
