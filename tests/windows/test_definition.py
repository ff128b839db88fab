"""Views as they may be declared, and everything that is refused, all at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from feast import Entity, FileSource, PushSource, StreamFeatureView, ValueType
from feast.aggregation import Aggregation as Declared

from sluice.errors import SettingsError
from sluice.windows.definition import EXACT, Aggregation, WindowView, view_from_feast

DAY = timedelta(days=1)
pytestmark = pytest.mark.filterwarnings("ignore:Stream feature views are experimental:RuntimeWarning")


def feast_view(*aggregations: Declared, entities: tuple[str, ...] = ("card",), **tags: str) -> StreamFeatureView:
    batch = FileSource(name="file", path="events.parquet", timestamp_field="event_time")
    return StreamFeatureView(
        name="card",
        entities=[Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in entities],
        source=PushSource(name="push", batch_source=batch),
        aggregations=list(aggregations),
        timestamp_field="event_time",
        online=False,
        tags=tags,
    )


def declared(
    name: str, function: str = "count", days: int = 1, hop: timedelta | None = EXACT, column: str = "amount"
) -> Declared:
    return Declared(column=column, function=function, time_window=days * DAY, slide_interval=hop, name=name)


def problems_of(view: StreamFeatureView, columns: list[str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        view_from_feast(view, columns)
    return "\n".join(caught.value.problems)


def test_a_feast_view_is_read_in_its_own_order() -> None:
    names = ["z_count", "a_mean", "m_since"]
    functions = ["count", "mean", "time_since_last"]
    made = [
        declared(n, f, 30 - i, 12 * timedelta(hours=1)) for i, (n, f) in enumerate(zip(names, functions, strict=True))
    ]
    view = view_from_feast(feast_view(*made), ["amount"])
    assert (view.name, view.entity, view.stream, view.hop_us) == ("card", "card", "events", 12 * 3600 * 10**6)
    assert [a.name for a in view.aggregations] == names
    assert view.aggregations[1] == Aggregation("a_mean", "amount", "mean", 29 * DAY // EXACT)
    assert view_from_feast(StreamFeatureView.from_proto(feast_view(*made).to_proto())) == view


def test_a_tag_makes_it_a_view_over_labels() -> None:
    assert view_from_feast(feast_view(declared("risk", "mean"), stream="labels")).stream == "labels"
    assert "expected events or labels, got 'lables'" in problems_of(feast_view(declared("risk"), stream="lables"))


def test_a_slide_interval_that_feast_filled_in_is_refused() -> None:
    assert "n: no slide_interval of its own" in problems_of(feast_view(declared("n", hop=None)))
    assert "n: no slide_interval of its own" in problems_of(feast_view(declared("n", hop=DAY)))


def test_all_mistakes_are_told_at_once() -> None:
    view = feast_view(
        declared("a", "median"),
        declared("b", hop=timedelta(hours=7)),
        declared("b", hop=timedelta(hours=7), column="size"),
        Declared(column="amount", function="sum", name="c"),
        entities=("card", "terminal"),
    )
    told = problems_of(view, ["amount"])
    for part in (
        "this view has 2: card, terminal",
        "one view has one hop (slide_interval), this one has 0:00:00.000001, 7:00:00",
        "a: unknown function 'median'; these work: count, sum, mean, std, min, max, time_since_last",
        "b: the stream has no column 'size'; it has amount",
        "b: two aggregations have this name",
        "c: no time_window",
    ):
        assert part in told


def test_a_hop_divides_its_windows() -> None:
    assert "b: a window of 86400000000 us is no multiple of the hop" in problems_of(
        feast_view(declared("b", hop=timedelta(hours=7)))
    )


@pytest.mark.parametrize("function", ["min", "max", "time_since_last"])
def test_functions_that_cannot_be_corrected_are_refused_over_labels(function: str) -> None:
    told = problems_of(feast_view(declared("risk", function), stream="labels"))
    assert f"risk: {function} over the label stream" in told


def test_a_view_without_aggregations_is_refused() -> None:
    assert "aggregations: none" in problems_of(feast_view())
    with pytest.raises(SettingsError, match="hop: at least one microsecond"):
        WindowView("v", "card", "events", 0, (Aggregation("n", "amount", "count", 5),))


def test_statistics_are_kept_once_and_in_a_fixed_order() -> None:
    kinds = ("max", "std", "count", "min", "mean", "time_since_last")
    view = WindowView("v", "card", "events", 1, tuple(Aggregation(f"{f}{w}", "x", f, w) for f in kinds for w in (9, 3)))
    assert [s.kind for s in view.stats] == ["count", "sum", "squares_high", "squares_low", "min", "max", "last"]
    assert (view.additive, view.minima, view.lasts, view.widths) == (4, 1, 1, (3, 9))


def test_tiles_and_starts_floor_before_1970_too() -> None:
    view = WindowView("v", "card", "events", 10, (Aggregation("n", "x", "count", 20),))
    assert [view.tile(t) for t in (-11, -10, -1, 0, 9, 10)] == [-2, -1, -1, 0, 0, 1]
    assert [view.start(t, 20) for t in (-1, 0, 9, 10)] == [-20, -10, -10, 0]
