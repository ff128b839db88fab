"""Features that need nothing but the request and the windows already looked up: one NumPy code for both worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from sluice.settings.features import HourRangeFeature, RatioFeature, RequestFeature, ValueFeature, WeekendFeature

EVENT_TIME = "event_time"
"""Name under which the scored event's own time (int64 µs since 1970, UTC) is passed in."""

_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
_SATURDAY = 5


def request_features(features: Sequence[RequestFeature], columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The request features in the order of the settings.

    Args:
        features: as the settings name them; a ratio may use features named before it.
        columns: `event_time` int64 [n] in µs, values and window features [n]: numbers (missing: NaN), or objects
            (str or None) for categories.

    Returns:
        name to float64 [n] (missing: NaN), or object [n] of str and None for a category.
    """
    known: dict[str, np.ndarray] = dict(columns)
    made: dict[str, np.ndarray] = {}
    for feature in features:
        made[feature.name] = known[feature.name] = _one(feature, known)
    return made


def _one(feature: RequestFeature, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    if isinstance(feature, ValueFeature):
        return _value(columns[feature.column])
    if isinstance(feature, RatioFeature):
        return _ratio(_value(columns[feature.numerator]), _value(columns[feature.denominator]), feature.fill)
    local = local_time(columns[EVENT_TIME], feature.time_zone)
    if isinstance(feature, WeekendFeature):
        weekday = (local // _DAY + _EPOCH_WEEKDAY) % 7
        return np.asarray(weekday >= _SATURDAY, dtype=np.float64)
    return _hours(feature, local % _DAY // _HOUR)


def _value(column: np.ndarray) -> np.ndarray:
    return column if column.dtype == object else column.astype(np.float64)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, fill: float) -> np.ndarray:
    usable = ~np.isnan(denominator) & (denominator != 0)
    out = np.full(len(numerator), fill)
    np.divide(numerator, denominator, out=out, where=usable)
    return out


def _hours(feature: HourRangeFeature, hour: np.ndarray) -> np.ndarray:
    after, before = hour >= feature.from_hour, hour < feature.to_hour
    inside = after & before if feature.from_hour <= feature.to_hour else after | before
    return np.asarray(inside, dtype=np.float64)


def local_time(time_us: np.ndarray, time_zone: str) -> np.ndarray:
    """int64 [n] µs since 1970 in UTC to the same on the local clock of `time_zone` (an IANA name)."""
    time_us = np.asarray(time_us, dtype=np.int64)
    if time_zone == "UTC":
        return time_us
    zone = ZoneInfo(time_zone)
    hours, where = np.unique(time_us // _HOUR, return_inverse=True)
    first = _offsets(hours * _HOUR, zone)
    last = _offsets((hours + 1) * _HOUR - 1, zone)
    offsets = first[where]
    # A clock change within the hour: ask for each time in it.
    changing = (first != last)[where]
    offsets[changing] = _offsets(time_us[changing], zone)
    return np.asarray(time_us + offsets)


def _offsets(time_us: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    microsecond = timedelta(microseconds=1)
    found = [(_EPOCH + timedelta(microseconds=int(t))).astimezone(zone).utcoffset() or timedelta() for t in time_us]
    return np.array([offset // microsecond for offset in found], dtype=np.int64)
