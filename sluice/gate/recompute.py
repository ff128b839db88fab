"""Features by the letter of their definition, one row and one entry at a time, from the raw streams.

Slow and independent on purpose: no sweep, no tiles, no prefix sums, nothing shared with what made the rows but the
declaration of the windows and of the request features. A feature that sees its future, or a label in disguise, cannot
be written here, so a row that holds one differs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from sluice.errors import GateError
from sluice.settings import UseCase
from sluice.settings.features import HourRangeFeature, RatioFeature, RequestFeature, ValueFeature
from sluice.windows.definition import Aggregation, WindowView

Row = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def recompute(
    use_case: UseCase, views: Sequence[WindowView], events: pl.DataFrame, labels: pl.DataFrame, ids: Sequence[str]
) -> pl.DataFrame:
    """The features of some events.

    Args:
        views: the windows, in the order of the feature service.
        events, labels: the raw streams.
        ids: events to compute features for.

    Returns:
        `event_id` in the order of `ids`, then the features: Float64 (missing: null), String for categories.

    Raises:
        GateError: an id that is not among the events.
    """
    asked = {row["event_id"]: row for row in events.filter(pl.col("event_id").is_in(ids)).iter_rows(named=True)}
    if absent := [i for i in ids if i not in asked]:
        raise GateError(f"{len(absent)} sealed rows are not among the events, the first is {absent[0]}", "ingest again")
    streams = [_Stream.of(view, events, labels, list(asked.values())) for view in views]
    rows = [_features(use_case, streams, asked[i]) for i in ids]
    schema = {name: pl.String if any(isinstance(r[name], str) for r in rows) else pl.Float64 for name in rows[0]}
    return pl.DataFrame({"event_id": list(ids)}).hstack(pl.DataFrame(rows, schema=schema))


def _features(use_case: UseCase, streams: Sequence[_Stream], event: Row) -> dict[str, float | str | None]:
    made: dict[str, float | str | None] = {}
    for stream in streams:
        seen = stream.seen(event)
        made |= {a.name: _aggregate(stream.view, a, seen, event) for a in stream.view.aggregations}
    for feature in use_case.features.request:
        made[feature.name] = _requested(feature, event, made)
    requested = {feature.name for feature in use_case.features.request}
    windows = {name: value for name, value in made.items() if name not in requested}
    return windows | {name: made[name] for name in requested}


@dataclass(frozen=True)
class _Stream:
    """The entries that a view's windows are over, by key."""

    view: WindowView
    by_key: Mapping[str, list[Row]]

    @staticmethod
    def of(view: WindowView, events: pl.DataFrame, labels: pl.DataFrame, asked: Sequence[Row]) -> _Stream:
        table = events if view.stream == "events" else labels
        keys = {row[view.entity] for row in asked} - {None}
        grouped: dict[str, list[Row]] = defaultdict(list)
        for row in table.filter(pl.col(view.entity).is_in(list(keys))).iter_rows(named=True):
            grouped[row[view.entity]].append(row)
        return _Stream(view, grouped)

    def seen(self, event: Row) -> list[tuple[datetime, Row]]:
        """Every entry of the event's key that comes not after it and was known when it arrived, with its time."""
        rows = self.by_key.get(event[self.view.entity], [])
        if self.view.stream == "labels":
            return _labels_seen(rows, event)
        moment = (event["event_time"], event["event_id"])
        return [
            (row["event_time"], row)
            for row in rows
            if (row["event_time"], row["event_id"]) <= moment and row["arrival"] <= event["arrival"]
        ]


def _labels_seen(rows: Sequence[Row], event: Row) -> list[tuple[datetime, Row]]:
    known: dict[str, Row] = {}
    for row in rows:
        # The stream is in the order of label_time, so a correction replaces what it corrects.
        if row["label_time"] <= event["arrival"]:
            known[row["event_id"]] = row
    return [(row["label_time"], row) for row in known.values() if row["label_time"] <= event["event_time"]]


def _aggregate(
    view: WindowView, aggregation: Aggregation, seen: Sequence[tuple[datetime, Row]], event: Row
) -> float | None:
    at = _microseconds(event["event_time"])
    oldest = (at - aggregation.window_us) // view.hop_us
    inside = [
        (_microseconds(time), row)
        for time, row in seen
        if _microseconds(time) // view.hop_us > oldest and row[aggregation.column] is not None
    ]
    if aggregation.function == "count":
        return float(len(inside))
    if aggregation.function == "time_since_last":
        # The event itself is in every other window, but is not the last one before itself.
        before = [time for time, row in inside if row["event_id"] != event["event_id"]]
        return (at - max(before)) / 1e6 if before else None
    return _summary(aggregation.function, [int(row[aggregation.column]) for _, row in inside])


def _summary(function: str, values: Sequence[int]) -> float | None:
    total, count = sum(values), len(values)
    if function == "sum":
        return float(total)
    if not values:
        return None
    if function == "mean":
        return total / count
    if function == "std":
        # Whole numbers until the last division: n * sum of squares - square of the sum, over n squared.
        return math.sqrt((count * sum(v * v for v in values) - total * total) / (count * count))
    return float(min(values) if function == "min" else max(values))


def _requested(feature: RequestFeature, event: Row, made: Mapping[str, Any]) -> float | str | None:
    if isinstance(feature, ValueFeature):
        value = event[feature.column]
        return value if value is None or isinstance(value, str) else float(value)
    if isinstance(feature, RatioFeature):
        above, below = (made[n] if n in made else event[n] for n in (feature.numerator, feature.denominator))
        if below is None or below == 0:
            return feature.fill
        return None if above is None else float(above) / float(below)
    local = event["event_time"].astimezone(ZoneInfo(feature.time_zone))
    if isinstance(feature, HourRangeFeature):
        first, end = feature.from_hour, feature.to_hour
        inside = first <= local.hour < end if first <= end else local.hour >= first or local.hour < end
        return float(inside)
    return float(local.weekday() >= 5)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
