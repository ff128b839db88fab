"""Events and labels as entries: order, corrections across deliveries, what cannot be summed."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.errors import FeatureError
from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.stream import ORDER, entries_of
from windows.worlds import INSTANT, World, events_of, labels_of, view_of, worlds

LABELS = view_of("labels", 1)


def label(event_id: str, value: float | None, time: int, card: str | None = "a") -> dict[str, object]:
    return {"event_id": event_id, "label": value, "label_time": time, "card": card}


def plain(entries: pl.DataFrame) -> list[tuple[object, ...]]:
    return entries.select("event_id", "time", "arrival", "sign", "value_label").rows()


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_entries_stand_in_the_order_in_which_they_became_known(world: World) -> None:
    entries = world.entries
    assert entries.equals(entries.sort(ORDER, maintain_order=True))
    assert entries.get_column("key").null_count() == 0
    balance = entries.group_by("event_id").agg(pl.col("sign").sum()).get_column("sign").to_list()
    assert set(balance) <= {1}


def test_a_correction_takes_the_old_label_out_when_it_becomes_known() -> None:
    labels = labels_of([label("e", 1.0, 10), label("f", 0.0, 12), label("e", 0.0, 20), label("e", None, 30)])
    assert plain(entries_of(LABELS, None, labels)) == [
        ("e", 10, 10, 1, 1),
        ("f", 12, 12, 1, 0),
        ("e", 10, 20, -1, 1),
        ("e", 20, 20, 1, 0),
        ("e", 20, 30, -1, 0),
        ("e", 30, 30, 1, None),
    ]


def test_a_correction_takes_the_old_label_out_of_the_old_key() -> None:
    entries = entries_of(LABELS, None, labels_of([label("e", 1.0, 10, "a"), label("e", 1.0, 20, "b")]))
    assert entries.select("key", "sign").rows() == [("a", 1), ("a", -1), ("b", 1)]


def test_of_two_labels_at_one_instant_the_last_counts() -> None:
    entries = entries_of(LABELS, None, labels_of([label("e", 1.0, 10), label("e", 0.0, 10)]))
    assert plain(entries) == [("e", 10, 10, 1, 0)]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(stream="labels"), st.integers(-25, 45))
def test_labels_in_two_deliveries_give_the_entries_of_one(world: World, cut: int) -> None:
    instants = pl.col("label_time").cast(pl.Int64)
    early, late = world.labels.filter(instants <= cut), world.labels.filter(instants > cut)
    both = [entries_of(world.view, None, early), entries_of(world.view, None, late, before=early)]
    assert pl.concat(both).sort(ORDER).equals(world.entries)
    again = entries_of(world.view, None, early, before=early)
    assert again.height == 0


def test_late_events_are_ordered_by_arrival() -> None:
    rows = [
        {"event_id": "late", "event_time": 1, "arrival": 9, "card": "a", "amount": 1},
        {"event_id": "b", "event_time": 5, "arrival": 5, "card": "a", "amount": None},
        {"event_id": "a", "event_time": 5, "arrival": 5, "card": None, "amount": 2},
    ]
    entries = entries_of(view_of("events", 1), events_of(rows), None)
    assert entries.select("event_id", "time", "arrival", "value_amount").rows() == [
        ("b", 5, 5, None),
        ("late", 1, 9, 1),
    ]


def test_count_takes_any_column_and_skips_its_nulls() -> None:
    view = WindowView(
        "v", "card", "events", 1, (Aggregation("n", "kind", "count", 5), Aggregation("m", "event_id", "count", 5))
    )
    events = events_of([]).vstack(
        events_of([{"event_id": i, "event_time": 1, "arrival": 1, "card": "a", "amount": 1} for i in "ab"])
    )
    entries = entries_of(view, events.with_columns(kind=pl.Series(["x", None])), None)
    assert entries.select("value_kind", "value_event_id").rows() == [(1, 1), (None, 1)]


def test_labels_with_fractions_are_to_be_given_in_a_smaller_measure() -> None:
    view = WindowView("v", "card", "labels", 1, (Aggregation("mean", "label", "mean", 5),))
    labels = pl.DataFrame({"event_id": ["e"], "card": ["a"], "label": [0.5]})
    labels = labels.with_columns(label_time=pl.lit(1).cast(INSTANT), event_time=pl.lit(1).cast(INSTANT))
    with pytest.raises(FeatureError, match="smaller measure"):
        entries_of(view, events_of([]), labels)


def test_what_cannot_be_summed_is_refused() -> None:
    view = WindowView("v", "card", "events", 1, tuple(Aggregation(c, c, "sum", 5) for c in ("share", "kind", "amount")))
    events = pl.DataFrame({"event_id": ["e"], "card": ["a"], "share": [0.5], "kind": ["x"], "amount": [3]})
    events = events.with_columns(event_time=pl.lit(1).cast(INSTANT))
    with pytest.raises(FeatureError) as caught:
        entries_of(view, events, None)
    assert "'share' holds fractions" in str(caught.value)
    assert "give it a unit" in str(caught.value)
    assert "'kind' is String" in str(caught.value)
    with pytest.raises(FeatureError, match="no column 'amount'"):
        entries_of(view, events.drop("amount"), None)
    with pytest.raises(FeatureError, match="no column card"):
        entries_of(view, events.drop("card"), None)
    with pytest.raises(FeatureError, match="over labels, and there are none"):
        entries_of(LABELS, events, None)
