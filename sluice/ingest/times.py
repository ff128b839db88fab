"""Instants as UTC microseconds: zones, and the hours that daylight saving repeats or leaves out."""

from __future__ import annotations

from typing import Literal

import polars as pl

from sluice.ingest.typed import Typed, wrong_type

_FORMS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"


def instant(
    column: str, dtype: pl.DataType, zone: str, ambiguous: Literal["earliest", "latest", "quarantine"]
) -> Typed:
    """A time column as Datetime[us, UTC].

    Times with a zone or an offset are converted; others are local in `zone`. A local time that daylight saving
    skips is a problem, one that it repeats is taken by `ambiguous`. Text must be ISO 8601.

    Raises:
        DataError: the column is of a type that holds no time.
    """
    raw = pl.col(column)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return Typed(raw.dt.cast_time_unit("us").dt.convert_time_zone("UTC"))
    if isinstance(dtype, pl.Datetime) or dtype == pl.Date:
        return _localised(raw.cast(pl.Datetime("us")), zone, ambiguous)
    if dtype == pl.String:
        return _parsed(raw, zone, ambiguous)
    if dtype == pl.Null:
        return Typed(raw.cast(pl.Datetime("us", "UTC")))
    raise wrong_type(column, dtype, "timestamps or ISO 8601 text (a bare number does not say what it counts)")


def _parsed(raw: pl.Expr, zone: str, ambiguous: Literal["earliest", "latest", "quarantine"]) -> Typed:
    iso = raw.str.replace(" ", "T", literal=True)
    has_offset = iso.str.contains(_OFFSET) & iso.str.contains("T", literal=True)
    plain = pl.when(~has_offset).then(iso)
    naive = pl.coalesce(plain.str.to_datetime(form, time_unit="us", strict=False) for form in _FORMS)
    zoned = pl.when(has_offset).then(iso).str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    local = _localised(naive, zone, ambiguous)
    wrong = raw.is_not_null() & naive.is_null() & zoned.is_null()
    return Typed(pl.coalesce(zoned, local.value), [("not an ISO 8601 time", wrong), *local.problems])


def _localised(naive: pl.Expr, zone: str, ambiguous: Literal["earliest", "latest", "quarantine"]) -> Typed:
    if zone == "UTC":
        return Typed(naive.dt.replace_time_zone("UTC"))
    choice: Literal["earliest", "latest"] = "latest" if ambiguous == "latest" else "earliest"
    exists = naive.dt.replace_time_zone(zone, ambiguous=choice, non_existent="null")
    skipped = ("skipped by daylight saving", naive.is_not_null() & exists.is_null())
    if ambiguous != "quarantine":
        return Typed(exists.dt.convert_time_zone("UTC"), [skipped])
    once = naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    twice = ("comes twice when daylight saving ends", exists.is_not_null() & once.is_null())
    return Typed(once.dt.convert_time_zone("UTC"), [skipped, twice])
