"""A few new rows by hand are the entries that the table engine makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.features.arrivals import batches_of, by_key
from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.stream import entries_of
from sluice.windows.tiles import Entries

START = datetime(2018, 4, 1, tzinfo=UTC)
ROW = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.integers(0, 5),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(-5, 5)),
    st.sampled_from(["x", None]),
)


def view(stream: Literal["events", "labels"], column: str) -> WindowView:
    aggregations = (Aggregation("n", "kind", "count", 10), Aggregation("total", column, "sum", 10))
    return WindowView("v", "card", stream, 1, aggregations)


def table(rows: list[tuple[str | None, int, int, int | None, str | None]], value: type) -> pl.DataFrame:
    time = [START + timedelta(seconds=r[1]) for r in rows]
    arrival = [t + timedelta(seconds=r[2]) for t, r in zip(time, rows, strict=True)]
    instant = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "event_id": [f"e{i * 7 % 10}{i}" for i in range(len(rows))],
            "card": pl.Series([r[0] for r in rows], dtype=pl.String),
            "event_time": pl.Series(time, dtype=instant),
            "arrival": pl.Series(arrival, dtype=instant),
            "label_time": pl.Series(arrival, dtype=instant),
            "amount": pl.Series([r[3] for r in rows], dtype=pl.Float64 if value is float else pl.Int64),
            "kind": pl.Series([r[4] for r in rows], dtype=pl.String),
        }
    )


def same(one: dict[str, Entries], other: dict[str, Entries]) -> bool:
    return one.keys() == other.keys() and all(
        list(one[k].event_ids) == list(other[k].event_ids)
        and all(np.array_equal(getattr(one[k], n), getattr(other[k], n)) for n in ("time", "arrival", "sign", "values"))
        for k in one
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=9), st.sampled_from(["events", "labels"]), st.sampled_from([int, float]))
def test_few_rows_by_hand_are_entries(
    rows: list[tuple[str | None, int, int, int | None, str | None]], stream: Literal["events", "labels"], value: type
) -> None:
    window, few = view(stream, "amount"), table(rows, value)
    assert same(batches_of(window, few), dict(by_key(window, entries_of(window, few, few))))
