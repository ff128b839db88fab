"""One field of a request at a time: what JSON (or a tensor) brought, as the type that features are made of.

Every function returns the value or raises `ValueError` with what was expected; the caller adds row and field.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sluice.ingest.units import to_units
from sluice.settings.data import ValueColumn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(2262, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LONGEST = 256
LARGEST = 2.0**53
"""Whole units up to here are exact in float64, and their sums over a window stay inside int64."""


def text(value: Any) -> str:
    """Text as it is; whole numbers and booleans as ingest writes them (596 and 596.0 become "596")."""
    if type(value) is str:
        if len(value) > _LONGEST:
            raise ValueError(f"expected at most {_LONGEST} characters, got {len(value)}")
        if not value.isascii():
            value.encode()
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    raise ValueError(f"expected a string or a whole number, got {shown(value)}")


def identifier(value: Any) -> str:
    """An id: text that is not empty."""
    if type(value) is bool:
        raise ValueError(f"expected a string or a whole number, got {shown(value)}")
    found = text(value)
    if not found:
        raise ValueError("expected at least one character")
    return found


def instant(value: Any) -> int:
    """RFC 3339 with its zone to microseconds since 1970 in UTC; digits beyond microseconds are cut off."""
    if type(value) is not str:
        raise ValueError(f'expected an instant such as "2018-08-08T00:01:14Z", got {shown(value)}')
    if _INSTANT.fullmatch(value) is None:
        raise ValueError(f'expected an instant with its zone such as "2018-08-08T00:01:14Z", got {shown(value)}')
    try:
        parsed = datetime.fromisoformat(value.upper())
        if EPOCH <= parsed < _LAST:
            return (parsed - EPOCH) // _MICROSECOND
    except ValueError:
        raise ValueError(f"there is no such day or time: {value}") from None
    raise ValueError(f"expected an instant from 1970 to 2261, got {value}")


def number(value: Any, column: ValueColumn) -> float:
    """A finite number in natural units within the settings' range, returned in whole units where there is a unit.

    Missing (None) gives NaN where the settings keep missing values.
    """
    if value is None and column.missing == "keep":
        return math.nan
    if type(value) not in (int, float):
        raise ValueError(f"expected a number, got {shown(value)}")
    try:
        natural = float(value)
    except OverflowError:
        natural = math.inf
    if not math.isfinite(natural):
        raise ValueError("expected a finite number")
    if (column.min is not None and natural < column.min) or (column.max is not None and natural > column.max):
        raise ValueError(f"expected {_range(column)}, got {natural:g}")
    if column.unit is None:
        return natural
    if abs(natural) / column.unit > LARGEST:
        raise ValueError(f"expected at most {LARGEST:g} units of {column.unit:g}, got {natural:g}")
    return float(to_units(np.array(natural), column.unit))


def boolean(value: Any, column: ValueColumn) -> float:
    """true, false, 1 or 0, as 1.0 or 0.0; missing gives NaN where the settings keep it."""
    if value is None and column.missing == "keep":
        return math.nan
    if type(value) in (bool, int, float) and value in (0, 1):
        return float(value)
    raise ValueError(f"expected true or false, got {shown(value)}")


def category(value: Any, column: ValueColumn) -> str | None:
    """A string (whole numbers become strings); None where the settings keep missing values."""
    if value is None and column.missing == "keep":
        return None
    return text(value)


def shown(value: Any) -> str:
    """A short form of what was given, safe to print whatever it was."""
    if value is None:
        return "null"
    text = ascii(value) if isinstance(value, str | int | float | bool) else f"a JSON {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _range(column: ValueColumn) -> str:
    if column.min is None:
        return f"at most {column.max:g}"
    return f"at least {column.min:g}" if column.max is None else f"{column.min:g} to {column.max:g}"
