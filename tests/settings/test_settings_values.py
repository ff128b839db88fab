"""Durations, sizes, instants and zones as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.settings.base import check_zone, format_duration, parse_duration, parse_instant, parse_size


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=100_000)))
def test_a_duration_comes_back_from_its_text(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("90s", timedelta(seconds=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("1us", timedelta(microseconds=1)),
        (" 12 h ", timedelta(hours=12)),
        (0, timedelta()),
        (timedelta(days=1), timedelta(days=1)),
    ],
)
def test_durations(text: Any, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["7", 7, "7 days", "-1d", "1.5h", "", None, True, False, [], "d"])
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 7d"):
        parse_duration(text)


def test_a_duration_too_long_for_any_clock() -> None:
    with pytest.raises(ValueError, match="longer than a duration can be"):
        parse_duration("99999999999d")


@pytest.mark.parametrize(
    ("text", "size"), [("11GB", 11 * 10**9), ("64MiB", 64 * 2**20), ("1.5KiB", 1536), (0, 0), (17, 17), ("3B", 3)]
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["11", "11 gb", -5, True, 1.5, None, "-1GB"])
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


def test_instants() -> None:
    assert parse_instant("2018-08-01T00:00:00Z") == datetime(2018, 8, 1, tzinfo=UTC)
    assert parse_instant("2018-08-01T02:00:00+02:00") == datetime(2018, 8, 1, tzinfo=UTC)
    for wrong in ("2018-08-01", datetime(2018, 8, 1), 1533081600, "soon", None):
        with pytest.raises(ValueError, match="with its zone"):
            parse_instant(wrong)


def test_zones() -> None:
    assert check_zone("Europe/Brussels") == "Europe/Brussels"
    for wrong in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        with pytest.raises(ValueError, match="expected a time zone"):
            check_zone(wrong)
