"""What can be seen of a column by itself: its kind, its words, how many values it has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from sluice.ingest.files import source_files
from sluice.ingest.source import readable
from sluice.settings.operation import Storage

Kind = Literal["time", "number", "whole", "boolean", "text", "empty", "other"]
_DATE = r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b"
_SINCE_1970 = ((1e8, 1e10, "seconds"), (1e11, 1e13, "milliseconds"), (1e14, 1e16, "microseconds"))
_TIMES = {"time", "timestamp", "date", "datetime", "datum", "zeit", "ts", "created", "at"}
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?.*)?$"


@dataclass(frozen=True)
class Look:
    """One column as it looks. `distinct` and `missing` count values; `unit` is the resolution of its numbers.

    `time_in` says in which way it looks like instants that `ingest` does not read.
    """

    name: str
    kind: Kind
    words: frozenset[str]
    rows: int
    distinct: int
    missing: int
    low: float | None = None
    high: float | None = None
    unit: float | None = None
    time_in: str = ""

    @property
    def is_unique(self) -> bool:
        """Every row has a value of its own."""
        return self.rows > 1 and self.missing == 0 and self.distinct == self.rows


def read_whole(source: str) -> pl.DataFrame:
    """All files of a source with the types that a reader guesses; instants as text stay text until looked at.

    Raises:
        DataError: nothing there, no table, or a file that cannot be read.
    """
    tables = []
    for file in source_files(source, Storage()):
        content = file.open()
        with readable(file):
            if file.is_csv:
                tables.append(pl.read_csv(content, infer_schema_length=10_000, ignore_errors=True))
            else:
                tables.append(pl.read_parquet(content, hive_partitioning=False))
    return pl.concat(tables, how="vertical_relaxed")


def look_at(column: pl.Series) -> Look:
    """Look at one column."""
    values = column.drop_nulls()
    kind = _kind(values)
    low = high = unit = None
    if kind in ("number", "whole") and len(values):
        numbers = values.cast(pl.Float64).to_numpy()
        finite = numbers[np.isfinite(numbers)]
        if finite.size:
            low, high = float(finite.min()), float(finite.max())
            unit = 1.0 if kind == "whole" else _unit(finite)
    distinct = values.n_unique() if kind not in ("other", "empty") else 0
    named = words(column.name)
    time_in = _time_in(values, kind, named, low, high)
    return Look(column.name, kind, named, len(column), distinct, column.null_count(), low, high, unit, time_in)


def _time_in(values: pl.Series, kind: Kind, named: frozenset[str], low: float | None, high: float | None) -> str:
    if kind == "text" and values.dtype == pl.String and values.head(1000).str.contains(_DATE).all():
        return "dates that are not ISO 8601"
    if kind in ("whole", "number") and named & _TIMES and low is not None and high is not None:
        return next((f"{what} since 1970" for a, b, what in _SINCE_1970 if a <= low and high < b), "")
    return ""


def words(name: str) -> frozenset[str]:
    """The words of a name: `TX_DateTime` and `txDateTime` have tx, date, time."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return frozenset(re.findall(r"[a-z]+|\d+", parted.lower()))


def instants(column: pl.Series) -> pl.Series:
    """A time column as naive or zoned Datetime; text in ISO 8601, an offset is cut off."""
    if column.dtype == pl.String:
        return column.str.slice(0, 19).str.replace(" ", "T").str.to_datetime(strict=False)
    return column.cast(pl.Datetime("us", getattr(column.dtype, "time_zone", None)))


def _kind(values: pl.Series) -> Kind:
    dtype = values.dtype
    if len(values) == 0:
        return "empty"
    if dtype in (pl.Date,) or isinstance(dtype, pl.Datetime):
        return "time"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "whole"
    if dtype.is_float() or dtype.is_decimal():
        return "number"
    if dtype == pl.String:
        return "time" if values.head(1000).str.contains(_ISO).all() else "text"
    return "text" if dtype in (pl.Categorical, pl.Enum) else "other"


def _unit(numbers: np.ndarray) -> float | None:
    """The coarsest power of ten, down to a millionth, that all numbers are multiples of."""
    sample = numbers[:: max(1, numbers.size // 20_000)]
    for digits in range(7):
        scaled = sample * 10.0**digits
        if np.all(np.abs(scaled - np.rint(scaled)) <= 1e-6 * np.maximum(1.0, np.abs(scaled) * 1e-6)):
            return float(10.0**-digits)
    return None
