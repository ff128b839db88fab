"""What all sections share: frozen models that refuse unknown keys, durations and sizes as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from sluice.errors import SettingsError

_UNITS = {
    "us": timedelta(microseconds=1),
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Section(BaseModel):
    """A part of the use case file: frozen, unknown keys refused, no silent conversions from text to number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def parse_duration(value: Any) -> Any:
    """`7d`, `90s`, `1h`, `250ms`, `1us`, `2w` to a timedelta; 0 is zero."""
    if isinstance(value, timedelta):
        return value
    if value == 0 and not isinstance(value, bool):
        return timedelta()
    match = re.fullmatch(r"\s*(\d+)\s*(us|ms|s|m|h|d|w)\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a duration such as 7d, 12h, 30m, 5s or 1us, got {value!r}")
    try:
        return int(match[1]) * _UNITS[match[2]]
    except OverflowError:
        raise ValueError(f"{value!r} is longer than a duration can be") from None


def format_duration(value: timedelta) -> str:
    """The shortest exact form: `7d`, `90s`, `1us`."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if value % _UNITS[unit] == timedelta():
            return f"{value // _UNITS[unit]}{unit}"
    raise AssertionError("a timedelta is a whole number of microseconds")


def parse_size(value: Any) -> Any:
    """`11GB`, `64MiB`, or a number of bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]i?B|B)\s*", value) if isinstance(value, str) else None
    if match is not None:
        return int(float(match[1]) * _BYTES[match[2]])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"expected a size such as 11GB, 64MiB or a number of bytes, got {value!r}")


def parse_instant(value: Any) -> Any:
    """ISO 8601 with its zone, as text or as YAML reads it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("write the instant with its zone, for example 2018-08-01T00:00:00Z")
    return value


def read_instant(text: str, where: str) -> datetime:
    """An instant that a person gave, in UTC.

    Raises:
        SettingsError: it is none; `where` it was given.
    """
    try:
        parsed: datetime = parse_instant(text)
    except ValueError as error:
        raise SettingsError(where, [f"{text}: {error}"]) from None
    return parsed.astimezone(UTC)


def check_zone(value: str) -> str:
    """A name of the IANA time zone database."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as UTC or Europe/Brussels, got {value!r}") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
ByteSize = Annotated[int, BeforeValidator(parse_size)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
ZoneName = Annotated[str, AfterValidator(check_zone)]
