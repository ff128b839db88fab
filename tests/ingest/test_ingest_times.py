"""Time zones, offsets, and the hours that daylight saving repeats or skips."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_sources import START, Read, rows, use_case

from sluice.ingest.times import instant

SYDNEY = "Australia/Sydney"
TWICE = datetime(2018, 10, 28, 2, 30)
SKIPPED = datetime(2018, 3, 25, 2, 30)


def _read_time(read: Read, time: Any, zone: str = "UTC", **data: Any) -> list[datetime]:
    table = rows(1, time=[time], fraud_known_at=[START + timedelta(days=900)])
    return read(table, use_case(time_zone=zone, **data)).events.get_column("event_time").to_list()


def test_naive_times_are_in_the_settings_zone(read: Read) -> None:
    naive = datetime(2018, 4, 10, 12)
    assert _read_time(read, naive) == [datetime(2018, 4, 10, 12, tzinfo=UTC)]
    assert _read_time(read, naive, SYDNEY) == [datetime(2018, 4, 10, 2, tzinfo=UTC)]


def test_zoned_times_keep_their_instant_whatever_the_settings_zone(read: Read) -> None:
    moment = datetime(2018, 4, 10, 12, tzinfo=ZoneInfo("America/New_York"))
    assert _read_time(read, moment, SYDNEY) == [moment.astimezone(UTC)]


def test_days_begin_at_local_midnight(read: Read) -> None:
    assert _read_time(read, date(2018, 4, 10), "Europe/Brussels") == [datetime(2018, 4, 9, 22, tzinfo=UTC)]


@pytest.mark.parametrize(
    "text",
    [
        "2018-04-10T12:00:00Z",
        "2018-04-10 12:00:00+00:00",
        "2018-04-10T14:00:00.000+0200",
        "2018-04-10T14:00:00",
        "2018-04-10 14:00",
        "2018-04-10 14:00:00.000000",
    ],
)
def test_text_with_and_without_offset(read: Read, text: str) -> None:
    assert _read_time(read, text, "Europe/Brussels") == [datetime(2018, 4, 10, 12, tzinfo=UTC)]


@pytest.mark.parametrize(("choice", "hour"), [("earliest", 0), ("latest", 1)])
def test_the_hour_that_comes_twice(read: Read, choice: str, hour: int) -> None:
    for time in (TWICE, TWICE.isoformat()):
        found = _read_time(read, time, "Europe/Brussels", ambiguous_time=choice)
        assert found == [datetime(2018, 10, 28, hour, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("time", "reason"),
    [(TWICE, "time: comes twice when daylight saving ends"), (SKIPPED, "time: skipped by daylight saving")],
)
def test_local_times_that_name_no_single_instant(read: Read, time: datetime, reason: str) -> None:
    good, known = datetime(2018, 4, 10, 12), [START + timedelta(days=900)] * 2
    for column in ([good, time], [good.isoformat(), time.isoformat()]):
        table = rows(2, time=column, fraud_known_at=known)
        found = read(table, use_case(time_zone="Europe/Brussels", ambiguous_time="quarantine"))
        assert found.quarantine.get_column("reason").to_list() == [reason]
        assert found.events.height == 1


def test_a_wrong_zone_shows_as_labels_before_their_events(read: Read) -> None:
    local = [datetime(2018, 4, 10, 20), datetime(2018, 4, 10, 21)]
    known = [datetime(2018, 4, 10, 10, 5, tzinfo=UTC), datetime(2018, 4, 12, tzinfo=UTC)]
    table = rows(2, time=local, fraud_known_at=known)
    assert read(table, use_case(time_zone=SYDNEY)).quarantine.height == 0
    wrong = read(table, use_case(time_zone="UTC")).quarantine
    assert wrong.get_column("reason").to_list() == ["fraud_known_at: before its event"]


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)),
    st.sampled_from(["UTC", "Europe/Brussels", "America/New_York", SYDNEY, "Asia/Kathmandu"]),
)
def test_every_local_time_agrees_with_the_zone_database(naive: datetime, zone: str) -> None:
    table = pl.DataFrame({"t": [naive]})
    found = table.select(instant("t", table.schema["t"], zone, "earliest").value).item()
    expected = naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    exists = expected.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive
    assert found == (expected if exists else None)
