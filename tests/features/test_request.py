"""Features made of the request alone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.features.request import local_time, request_features
from sluice.settings.features import HourRangeFeature, RatioFeature, RequestFeature, ValueFeature, WeekendFeature


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000


def times(*instants: int) -> dict[str, np.ndarray]:
    return {"event_time": np.array(instants, dtype=np.int64)}


def test_weekend_follows_the_local_calendar() -> None:
    friday_night = times(at(2018, 8, 3, 23, 30), at(2018, 8, 4, 12), at(2018, 8, 5, 23), at(2018, 8, 6, 0))
    in_utc = WeekendFeature(kind="weekend", name="weekend")
    in_rome = WeekendFeature(kind="weekend", name="weekend_rome", time_zone="Europe/Rome")
    made = request_features([in_utc, in_rome], friday_night)
    assert made["weekend"].tolist() == [0, 1, 1, 0]
    assert made["weekend_rome"].tolist() == [1, 1, 0, 0]


def test_weekend_before_the_epoch() -> None:
    made = request_features([WeekendFeature(kind="weekend", name="w")], times(at(1969, 12, 28, 10), at(1969, 12, 29)))
    assert made["w"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("first", "last", "inside"),
    [(0, 6, [1, 1, 0, 0, 0]), (22, 6, [1, 1, 0, 0, 1]), (6, 24, [0, 0, 1, 1, 1]), (0, 24, [1, 1, 1, 1, 1])],
)
def test_hours_may_cross_midnight(first: int, last: int, inside: list[int]) -> None:
    day = times(*(at(2018, 8, 1, h, m) for h, m in ((0, 0), (5, 59), (6, 0), (21, 59), (22, 0))))
    made = request_features([HourRangeFeature(kind="hours", name="h", from_hour=first, to_hour=last)], day)
    assert made["h"].tolist() == inside


def test_ratio_fills_where_there_is_nothing_to_compare_with() -> None:
    columns = {"amount": np.array([500, 500, 500, 900]), "mean": np.array([250.0, 0.0, np.nan, 300.0])}
    ratio = RatioFeature(kind="ratio", name="r", numerator="amount", denominator="mean")
    assert request_features([ratio], columns)["r"].tolist() == [2, 1, 1, 3]


def test_ratio_may_use_a_feature_named_before_it() -> None:
    features: list[RequestFeature] = [
        ValueFeature(name="a", column="amount"),
        RatioFeature(kind="ratio", name="r", numerator="a", denominator="mean"),
        RatioFeature(kind="ratio", name="s", numerator="r", denominator="a"),
    ]
    made = request_features(features, {"amount": np.array([6]), "mean": np.array([3.0])})
    assert (list(made), made["s"].tolist()) == (["a", "r", "s"], [2 / 6])


def test_categories_stay_strings() -> None:
    columns = {"kind": np.array(["pos", None], dtype=object)}
    assert request_features([ValueFeature(name="kind", column="kind")], columns)["kind"].tolist() == ["pos", None]


@settings(max_examples=60)
@given(
    st.lists(st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1)), min_size=1, max_size=8),
    st.sampled_from(["Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
def test_local_time_is_the_wall_clock(moments: list[datetime], zone: str) -> None:
    utc = [moment.replace(tzinfo=UTC) for moment in moments]
    epoch = datetime(1970, 1, 1)
    micro = [round((m - epoch.replace(tzinfo=UTC)).total_seconds()) * 1_000_000 for m in utc]
    walls = [datetime.fromtimestamp(m // 1_000_000, tz=ZoneInfo(zone)).replace(tzinfo=None) for m in micro]
    expected = [round((wall - epoch).total_seconds()) * 1_000_000 for wall in walls]
    assert local_time(np.array(micro), zone).tolist() == expected


def test_local_time_when_the_clock_changes_within_the_hour() -> None:
    # Lord Howe moves by half an hour, at 15:30 UTC.
    before, after = at(2018, 10, 6, 15, 29), at(2018, 10, 6, 15, 30)
    assert (local_time(np.array([before, after]), "Australia/Lord_Howe") - [before, after]).tolist() == [
        37_800_000_000,
        39_600_000_000,
    ]
