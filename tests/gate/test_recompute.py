"""The slow definition agrees with the fast one where the fast one is right, and catches planted leaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import GateError
from sluice.gate.recompute import recompute
from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep
from tests.gate.worlds import VIEWS, small_world, use_case

START = datetime(2025, 1, 1, tzinfo=UTC)
FUNCTIONS = ("count", "sum", "mean", "std", "min", "max", "time_since_last")


def test_equals_the_sweep_on_a_simulated_world() -> None:
    small = small_world(1, use_case(), sealed=300)
    ids = small.sealed["event_id"].to_list()
    found = recompute(small.use_case, VIEWS, small.events, small.labels, ids)
    for name in found.columns[1:]:
        one, other = (t[name].cast(pl.Float64).to_numpy().astype(np.float32) for t in (found, small.sealed))
        np.testing.assert_array_equal(one, other, err_msg=name)


@st.composite
def streams(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A few events of two keys with ties, late arrivals and missing amounts, and labels with corrections."""
    events, labels = [], []
    for i in range(draw(st.integers(1, 14))):
        time = START + timedelta(minutes=draw(st.integers(0, 40)))
        late = timedelta(minutes=draw(st.sampled_from([0, 0, 0, 7])))
        card = draw(st.sampled_from(["a", "b"]))
        amount = draw(st.none() | st.integers(-50, 10**6))
        events.append((f"e{i:02d}", time, time + late, card, amount))
        for correction in range(draw(st.integers(0, 2))):
            known = time + timedelta(minutes=5 + 9 * correction + draw(st.integers(0, 3)))
            labels.append((f"e{i:02d}", float(draw(st.booleans())), known, time, card))
    instant = pl.Datetime("us", "UTC")
    event_schema: dict[str, Any] = {"event_id": pl.String, "event_time": instant, "arrival": instant, "card": pl.String}
    label_schema: dict[str, Any] = {
        "event_id": pl.String,
        "label": pl.Float64,
        "label_time": instant,
        "event_time": instant,
    }
    return (
        pl.DataFrame(events, {**event_schema, "amount": pl.Int64}, orient="row").sort("event_time", "event_id"),
        pl.DataFrame(labels, {**label_schema, "event_time": instant, "card": pl.String}, orient="row").sort(
            "label_time", "event_id"
        ),
    )


@settings(max_examples=30, deadline=None)
@given(streams(), st.sampled_from([1, 60_000_000, 300_000_000]))
def test_equals_the_sweep_with_ties_late_events_and_corrections(
    made: tuple[pl.DataFrame, pl.DataFrame], hop: int
) -> None:
    events, labels = made
    width = 900_000_000
    over_events = tuple(Aggregation(f, "amount", f, width) for f in FUNCTIONS)
    over_labels = tuple(Aggregation(f"risk_{f}", "label", f, width) for f in ("count", "mean"))
    views = (
        WindowView("card", "card", "events", hop, over_events),
        WindowView("risk", "card", "labels", hop, over_labels),
    )
    policy = use_case(features__request=[])
    found = recompute(policy, views, events, labels, events["event_id"].to_list())
    for view in views:
        fast = sweep(view, entries_of(view, events, labels), questions_of(view, events))
        for name in fast.columns:
            one, other = (t[name].cast(pl.Float64).to_numpy().astype(np.float32) for t in (found, fast))
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_an_event_that_is_not_there_is_named() -> None:
    small = small_world(1, use_case(), sealed=10)
    with pytest.raises(GateError, match="nowhere"):
        recompute(small.use_case, VIEWS, small.events, small.labels, ["nowhere"])
