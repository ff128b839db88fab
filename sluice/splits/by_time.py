"""Where the parts of a split by time lie: train, validation, gap and test, back to back from the test's end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from sluice.errors import DataError
from sluice.settings import UseCase
from sluice.settings.base import format_duration
from sluice.settings.split import TimeSplit

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """[start, end) of train, validation and test."""

    spans: dict[str, tuple[datetime, datetime]]


def plan_of(use_case: UseCase, rows: pl.DataFrame, labels: pl.DataFrame) -> Plan:
    """The parts' instants.

    Raises:
        DataError: no rows, or the rows start after train would.
    """
    settings = use_case.split
    assert isinstance(settings, TimeSplit)
    if rows.is_empty() or labels.is_empty():
        raise DataError(
            f"there are {rows.height} rows and {labels.height} labels: nothing to split",
            "check data.source, data.start and data.end, and the quarantine table",
        )
    end = settings.test_end or last_mature_instant(use_case, rows, labels)
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    test = end - settings.test
    validation_end = test - settings.gap
    validation = validation_end - settings.validation
    train = validation - settings.train
    _refuse_too_short(settings, rows, train, end)
    return Plan({"train": (train, validation), "validation": (validation, validation_end), "test": (test, end)})


def last_mature_instant(use_case: UseCase, rows: pl.DataFrame, labels: pl.DataFrame) -> datetime:
    """The end of the last whole UTC day whose rows' labels have all had time to arrive.

    A row without label counts as waiting while it is younger, at the label stream's last instant, than the labels'
    delay: `data.labels.delay`, else `negative_after`, else the longest delay of a first label seen in the stream.
    """
    complete = _end_of_last_whole_day(rows.get_column("event_time"))
    waiting = rows.join(labels, on="event_id", how="anti", maintain_order="left").get_column("event_time")
    if waiting.is_empty():
        return complete
    reach = labels.get_column("label_time").max()
    assert isinstance(reach, datetime)
    still = waiting.filter(waiting > reach - _delay(use_case, labels)).min()
    return min(complete, _midnight(still)) if isinstance(still, datetime) else complete


def _delay(use_case: UseCase, labels: pl.DataFrame) -> timedelta:
    settings = use_case.data.labels
    declared = settings.delay if settings.delay is not None else settings.negative_after
    if declared is not None:
        return declared
    first = labels.unique("event_id", keep="first", maintain_order=True)
    longest = first.select((pl.col("label_time") - pl.col("event_time")).max()).item()
    assert isinstance(longest, timedelta)
    return longest


def _end_of_last_whole_day(times: pl.Series) -> datetime:
    last = times.max()
    assert isinstance(last, datetime)
    midnight = _midnight(last)
    longest_silence = times.sort().diff().max()
    # A silence until midnight that the data knows from elsewhere is no sign that the day was cut short.
    whole = isinstance(longest_silence, timedelta) and midnight + DAY - last <= longest_silence
    return midnight + DAY if whole else midnight


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _refuse_too_short(settings: TimeSplit, rows: pl.DataFrame, train: datetime, end: datetime) -> None:
    first, last = rows.get_column("event_time").min(), rows.get_column("event_time").max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    if first < train + DAY and end <= _midnight(last) + DAY:
        return
    parts = {"train": settings.train, "validation": settings.validation, "gap": settings.gap, "test": settings.test}
    needs = ", ".join(f"{name} {format_duration(length)}" for name, length in parts.items())
    total = sum(parts.values(), timedelta())
    usable = (end - _midnight(first)) / DAY
    raise DataError(
        f"the split needs {total / DAY:g} days ({needs}), counted back from {end:%Y-%m-%d %H:%M} UTC; "
        f"the events run from {first:%Y-%m-%d} to {last:%Y-%m-%d}, {usable:g} days of them before that instant",
        "make a part shorter, bring more events, or set split.test_end",
    )
