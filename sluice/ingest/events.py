"""From the source's columns to events: roles, types, units, and every row that breaks a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from sluice.ingest import typed
from sluice.ingest.personal import pseudonyms, row_ids
from sluice.ingest.quarantine import Findings
from sluice.ingest.source import Raw
from sluice.ingest.times import instant
from sluice.ingest.typed import Typed
from sluice.ingest.units import to_units
from sluice.settings import UseCase

SHARED = "="
"""`=id` in place of an entity's column: all events belong to this one id, so that windows see the whole stream."""


@dataclass(frozen=True)
class Mapped:
    """Good rows in source order: the columns of events, and `label`, `label_time` where the table has them."""

    rows: pl.DataFrame
    findings: Findings
    records: pl.DataFrame


def wanted_columns(use_case: UseCase) -> dict[str, str]:
    """Every source column of the events that the settings name, and the setting that does."""
    columns = use_case.data.columns
    roles = {"event_id": columns.event_id, "event_time": columns.event_time, "arrival": columns.arrival}
    if use_case.data.labels.source is None:
        roles |= {"label": columns.label, "label_time": columns.label_time}
    wanted = {column: f"data.columns.{role}" for role, column in roles.items() if column is not None}
    for name, column in columns.entities.items():
        if not column.startswith(SHARED):
            wanted.setdefault(column, f"data.columns.entities.{name}")
    for name, value in columns.values.items():
        wanted.setdefault(value.column or name, f"data.columns.values.{name}")
    for column in columns.personal:
        wanted.setdefault(column, f"data.columns.personal.{column}")
    return wanted


def duplicate_reason(use_case: UseCase) -> str:
    """Why a row with an id that an earlier row has is set aside."""
    return f"{use_case.data.columns.event_id}: duplicate"


def map_events(use_case: UseCase, raw: Raw, now: datetime, key: bytes) -> Mapped:
    """Type and check the raw rows. Which rows come first decides which of two with one id is kept.

    Raises:
        DataError: a column's type cannot hold its role.
    """
    findings = Findings("event", raw)
    roles = _roles(use_case, dict(raw.table.schema))
    checks = {f"{source}: {reason}": wrong for _, source, t in roles for reason, wrong in t.problems}
    outputs = {role: t.value for role, _, t in roles}
    renamed = {f"!{i}": wrong for i, wrong in enumerate(checks.values())}
    result = raw.table.lazy().select(**outputs, **renamed).collect()
    for i, reason in enumerate(checks):
        findings.add(reason, result.get_column(f"!{i}"))
    rows = result.select(*outputs)
    rows = _without_time(rows) if use_case.data.columns.event_time is None else _with_arrival(rows)
    for reason, wrong in _order_of_times(use_case, rows.columns, now):
        findings.add(reason, rows.select(wrong=wrong).get_column("wrong"))
    if "event_id" not in rows.columns:
        rows = rows.with_columns(event_id=row_ids(raw.table, _content(use_case, raw.table.columns)))
    good = rows.with_row_index("row").filter(pl.Series(~findings.bad))
    repeated = good.filter(~pl.col("event_id").is_first_distinct())
    if repeated.height:
        findings.add(duplicate_reason(use_case), repeated.get_column("row").to_numpy())
        good = good.filter(pl.col("event_id").is_first_distinct())
    records = _without_personal(use_case, raw.table, key)
    return Mapped(_finish(use_case, good.drop("row"), key), findings, records)


def _roles(use_case: UseCase, schema: dict[str, pl.DataType]) -> list[tuple[str, str, Typed]]:
    """(name in the events, source column, typed) of every role that the table has."""
    data, columns = use_case.data, use_case.data.columns

    def time(column: str) -> Typed:
        return instant(column, schema[column], data.time_zone, data.ambiguous_time)

    def key(column: str) -> Typed:
        if column.startswith(SHARED):
            return Typed(pl.lit(column.removeprefix(SHARED), pl.String))
        return typed.text(column, schema[column], empty_is_missing=True).required()

    def as_label(column: str) -> Typed:
        return typed.label(column, schema[column], use_case.task, data.labels.classes)

    single: list[tuple[str, str | None, Callable[[str], Typed]]] = [
        ("event_id", columns.event_id, key),
        ("event_time", columns.event_time, lambda c: time(c).required()),
        ("arrival", columns.arrival, lambda c: time(c).required()),
    ]
    single += [(name, column, key) for name, column in columns.entities.items()]
    found = [(role, column, make(column)) for role, column, make in single if column is not None]
    for name, settings in columns.values.items():
        column = settings.column or name
        found.append((name, column, typed.value(column, schema[column], settings)))
    if data.labels.source is None and columns.label is not None:
        found.append(("label", columns.label, as_label(columns.label)))
        if columns.label_time is not None:
            found.append(("label_time", columns.label_time, time(columns.label_time)))
    return found


def _order_of_times(use_case: UseCase, there: list[str], now: datetime) -> list[tuple[str, pl.Expr]]:
    columns = use_case.data.columns
    if columns.event_time is None:
        return []
    latest = now + use_case.data.quality.future_tolerance
    checks = [(f"{columns.event_time}: from the future", pl.col("event_time") > latest)]
    if columns.arrival is not None:
        checks.append((f"{columns.arrival}: before its event", pl.col("arrival") < pl.col("event_time")))
    if "label_time" in there:
        early = pl.col("label").is_not_null() & (pl.col("label_time") < pl.col("event_time"))
        checks.append((f"{columns.label_time}: before its event", early))
        if use_case.data.labels.delay is None and use_case.data.labels.negative_after is None:
            unknown = pl.col("label").is_not_null() & pl.col("label_time").is_null()
            checks.append((f"{columns.label_time}: missing", unknown))
    return checks


def _with_arrival(rows: pl.DataFrame) -> pl.DataFrame:
    return rows if "arrival" in rows.columns else rows.with_columns(arrival=pl.col("event_time"))


def _without_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Tables without time: the row's number as microseconds, a convention that nothing may learn from."""
    count = pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return rows.with_columns(event_time=count, arrival=count)


def _content(use_case: UseCase, there: list[str]) -> list[str]:
    """What an event's own id is made of: a later label must not change it."""
    columns = use_case.data.columns
    dropped = {column for column, treatment in columns.personal.items() if treatment == "drop"}
    return [name for name in there if name not in {columns.label, columns.label_time, *dropped}]


def _without_personal(use_case: UseCase, table: pl.DataFrame, key: bytes) -> pl.DataFrame:
    personal = use_case.data.columns.personal
    kept = table.drop([column for column, treatment in personal.items() if treatment == "drop"])
    hashed = [column for column, treatment in personal.items() if treatment == "hash"]
    return kept.with_columns(pseudonyms(kept.get_column(column).cast(pl.String), key) for column in hashed)


def _finish(use_case: UseCase, rows: pl.DataFrame, key: bytes) -> pl.DataFrame:
    columns = use_case.data.columns
    named = {"event_id": columns.event_id, **columns.entities}
    named |= {n: v.column or n for n, v in columns.values.items() if v.type == "category"}
    hashed = [role for role, column in named.items() if columns.personal.get(column or "") == "hash"]
    counted = {n: v.unit for n, v in columns.values.items() if v.type == "number" and v.unit is not None}
    rows = rows.with_columns(pseudonyms(rows.get_column(role), key) for role in hashed)
    rows = rows.with_columns(_in_units(rows.get_column(name), unit) for name, unit in counted.items())
    first = ["event_id", "event_time", "arrival", *columns.entities, *columns.values]
    return rows.select(*first, *(name for name in ("label", "label_time") if name in rows.columns))


def _in_units(values: pl.Series, unit: float) -> pl.Series:
    whole = pl.Series(values.name, to_units(values.fill_null(0.0).to_numpy(), unit), dtype=pl.Int64)
    return whole.set(values.is_null(), None) if values.null_count() else whole
