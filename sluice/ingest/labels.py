"""Labels are events too: each has the time at which it became known, and a later one is a correction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from sluice.errors import DataError
from sluice.ingest import typed
from sluice.ingest.quarantine import Findings
from sluice.ingest.source import Raw, missing_column
from sluice.ingest.times import instant
from sluice.settings import UseCase


@dataclass(frozen=True)
class LabelColumns:
    """The columns of a label table of its own."""

    event_id: str
    label: str
    label_time: str | None


def label_columns(use_case: UseCase, there: list[str]) -> LabelColumns:
    """Which columns of `data.labels.source` are meant: those that data.columns names, else event_id, label, label_time.

    Raises:
        DataError: one of them is not there.
    """
    columns, where = use_case.data.columns, str(use_case.data.labels.source)
    found: dict[str, str | None] = {}
    for role in ("event_id", "label", "label_time"):
        named: str | None = getattr(columns, role)
        found[role] = named if named in there else role if role in there else None
    for role in ("event_id", "label"):
        if found[role] is None:
            raise missing_column(where, getattr(columns, role) or role, f"data.columns.{role}", there)
    if found["label_time"] is None and use_case.data.labels.delay is None:
        raise missing_column(where, columns.label_time or "label_time", "data.columns.label_time", there)
    return LabelColumns(str(found["event_id"]), str(found["label"]), found["label_time"])


def read_label_table(use_case: UseCase, raw: Raw, events: pl.DataFrame) -> tuple[pl.DataFrame, Findings, int]:
    """Labels that came by themselves.

    Args:
        events: all good events [event_id, event_time …] before any filter.

    Returns:
        labels [event_id, label, label_time] of known events, what was wrong, and how many belong to no event.

    Raises:
        DataError: a column is missing, or not one label belongs to an event.
    """
    data = use_case.data
    columns, schema = label_columns(use_case, raw.table.columns), raw.table.schema
    key = typed.text(columns.event_id, schema[columns.event_id], empty_is_missing=True).required()
    label = typed.label(columns.label, schema[columns.label], use_case.task, data.labels.classes).required()
    parts = {"event_id": (columns.event_id, key), "label": (columns.label, label)}
    if columns.label_time is not None:
        time = instant(columns.label_time, schema[columns.label_time], data.time_zone, data.ambiguous_time)
        known = time if data.labels.delay is not None else time.required()
        parts["label_time"] = (columns.label_time, known)
    findings = Findings("label", raw)
    checks = {f"{source}: {reason}": wrong for source, t in parts.values() for reason, wrong in t.problems}
    result = raw.table.lazy().select(**{n: t.value for n, (_, t) in parts.items()}, **_numbered(checks)).collect()
    for i, reason in enumerate(checks):
        findings.add(reason, result.get_column(f"!{i}"))
    rows = result.select(*parts).with_row_index("row").filter(pl.Series(~findings.bad))
    joined = rows.join(events.select("event_id", "event_time"), on="event_id", maintain_order="left")
    if joined.height == 0 and rows.height:
        raise DataError(
            f"{data.labels.source}: none of its {rows.height:,} labels belongs to an event",
            f"compare its {columns.event_id!r} with {data.columns.event_id!r} of the events",
        )
    joined = _with_delay(joined, data.labels.delay)
    early = joined.get_column("label_time") < joined.get_column("event_time")
    findings.add(f"{columns.label_time}: before its event", joined.filter(early).get_column("row").to_numpy())
    return joined.filter(~early).drop("row", "event_time"), findings, rows.height - joined.height


def labels_beside(use_case: UseCase, rows: pl.DataFrame) -> pl.DataFrame:
    """Labels of the events' own table: [event_id, label, label_time] where a label is known."""
    labels = use_case.data.labels
    delay = labels.delay
    if use_case.data.columns.event_time is None and delay is None:
        delay = timedelta()
    known = _with_delay(rows.filter(pl.col("label").is_not_null()), delay)
    if labels.negative_after is not None:
        silent = pl.col("event_time") + labels.negative_after
        known = known.with_columns(
            label_time=pl.when(pl.col("label") == 0)
            .then(pl.col("label_time").fill_null(silent))
            .otherwise("label_time")
        ).filter(pl.col("label_time").is_not_null())
    return known.select("event_id", "label", "label_time")


def label_stream(use_case: UseCase, found: pl.DataFrame, events: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The stream in order of (label_time, event_id), with the event's time and entities; only what has arrived.

    Events without a label become negative after `labels.negative_after`; a positive that comes still later is a
    correction. A label that repeats what is already known is left out.
    """
    entities = list(use_case.data.columns.entities)
    own = events.select("event_id", "event_time", *entities)
    stream = found.select("event_id", "label", "label_time")
    wait = use_case.data.labels.negative_after
    if wait is not None:
        stream = pl.concat([stream, _silent_negatives(own, stream, wait)])
    stream = stream.filter(pl.col("label_time") <= now).sort("label_time", "event_id", maintain_order=True)
    stream = stream.unique(["event_id", "label_time"], keep="last", maintain_order=True)
    before = pl.col("label").shift(1).over("event_id")
    if stream.get_column("event_id").n_unique() < stream.height:
        stream = stream.filter(before.is_null() | (before != pl.col("label")))
    return stream.join(own, on="event_id", maintain_order="left").select(
        "event_id", "label", "label_time", "event_time", *entities
    )


def _silent_negatives(own: pl.DataFrame, stream: pl.DataFrame, wait: timedelta) -> pl.DataFrame:
    first = stream.group_by("event_id").agg(first=pl.col("label_time").min())
    due = own.join(first, on="event_id", how="left").with_columns(label_time=pl.col("event_time") + wait)
    silent = due.filter(pl.col("first").is_null() | (pl.col("first") > pl.col("label_time")))
    return silent.select("event_id", pl.lit(0.0).alias("label"), "label_time")


def _with_delay(rows: pl.DataFrame, delay: timedelta | None) -> pl.DataFrame:
    late = None if delay is None else pl.col("event_time") + delay
    if "label_time" not in rows.columns:
        empty = pl.lit(None, pl.Datetime("us", "UTC"))
        return rows.with_columns(label_time=empty if late is None else late)
    return rows if late is None else rows.with_columns(pl.col("label_time").fill_null(late))


def _numbered(checks: dict[str, pl.Expr]) -> dict[str, pl.Expr]:
    return {f"!{i}": wrong for i, wrong in enumerate(checks.values())}
