"""From raw tables to `events` and `labels` with a content digest; bad rows go to a quarantine with their reasons.

The rooms in order: `source` reads, `typed` and `times` give columns their types, `events` and `labels` map
and check, `quarantine` keeps what is wrong, `result` is what comes out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from sluice.errors import DataError
from sluice.ingest.events import Mapped, map_events, wanted_columns
from sluice.ingest.labels import label_stream, labels_beside, read_label_table
from sluice.ingest.personal import pseudonym, secret_of, share_of
from sluice.ingest.quarantine import Findings
from sluice.ingest.result import Ingested, content_digest, quarantine_text
from sluice.ingest.source import read_source
from sluice.settings import UseCase
from sluice.steps import Progress, silent

__all__ = ["Ingested", "content_digest", "ingest", "pseudonym", "quarantine_text"]


def ingest(
    use_case: UseCase,
    *,
    now: datetime,
    source: str | None = None,
    sample: float = 1.0,
    sample_entity: str | None = None,
    pseudonym_key: bytes | None = None,
    credentials: dict[str, str] | None = None,
    progress: Progress = silent,
) -> Ingested:
    """Read, map and check a source.

    Args:
        use_case: its `data` says what the columns mean.
        now: instants after it are the future: such events are bad, such labels have not arrived. With `data.end`
            set, labels that arrive from then on have not arrived either: the world is seen as it was at that instant.
        source: instead of `data.source`.
        sample: share of the entities to keep, by a hash of the entity's id (without entities: of the event's id).
        sample_entity: the entity to sample by; default: the first one.
        pseudonym_key: secret for personal columns that are hashed; default: what the settings name.
        credentials: for S3, as `sluice.storage.open_store` takes them.
        progress: told which of the four parts is being done.

    Returns:
        events sorted by (event_time, event_id), labels sorted by (label_time, event_id), quarantine, counts, digest.

    Raises:
        DataError: nothing there, a column missing or of a wrong type, or more bad rows than the settings allow.
        StoreError: S3 does not answer.
    """
    data = use_case.data
    progress("ingest", 0, 4, "read")
    wanted, everything = wanted_columns(use_case), data.columns.event_id is None
    raw = read_source(source or data.source, wanted, use_case.storage, everything=everything, credentials=credentials)
    progress("ingest", 1, 4, "check")
    mapped = map_events(use_case, raw, now, pseudonym_key or secret_of(use_case))
    mapped.findings.stop_above(data.quality.max_quarantined)
    if data.labels.source is None:
        found, wrong, orphans = labels_beside(use_case, mapped.rows), None, 0
    else:
        found, wrong, orphans = _label_table(use_case, mapped, credentials)
    progress("ingest", 2, 4, "order")
    events, filtered = _filter(use_case, mapped.rows, now, sample, sample_entity)
    found = found if events.height == mapped.rows.height else found.join(events, on="event_id", how="semi")
    events = events.drop("label", "label_time", strict=False).sort("event_time", "event_id")
    labels = label_stream(use_case, found, events, now if data.end is None else min(now, data.end))
    progress("ingest", 3, 4, "digest")
    counts = _counts(mapped, wrong, events, labels) | filtered | {"labels_without_event": orphans}
    quarantine = _quarantine(mapped, wrong)
    progress("ingest", 4, 4, "done")
    return Ingested(events, labels, quarantine, counts, content_digest(events, labels))


def _label_table(
    use_case: UseCase, mapped: Mapped, credentials: dict[str, str] | None
) -> tuple[pl.DataFrame, tuple[Findings, pl.DataFrame], int]:
    source = str(use_case.data.labels.source)
    raw = read_source(source, {}, use_case.storage, everything=True, credentials=credentials)
    found, findings, orphans = read_label_table(use_case, raw, mapped.rows)
    findings.stop_above(use_case.data.quality.max_quarantined)
    return found, (findings, raw.table), orphans


def _filter(
    use_case: UseCase, rows: pl.DataFrame, now: datetime, sample: float, sample_entity: str | None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Leave out what lies outside start and end, what has not arrived, and what is not sampled; count each."""
    data, counts = use_case.data, {}

    def leave_out(name: str, keep: pl.Expr | pl.Series | None) -> None:
        nonlocal rows
        kept = rows if keep is None else rows.filter(keep)
        counts[name] = rows.height - kept.height
        rows = kept

    leave_out("before_start", None if data.start is None else pl.col("event_time") >= data.start)
    leave_out("after_end", None if data.end is None else pl.col("event_time") < data.end)
    leave_out("not_arrived", None if data.columns.arrival is None else pl.col("arrival") <= now)
    leave_out("not_sampled", None if sample >= 1.0 else _sampled(rows, use_case, sample, sample_entity))
    if rows.height == 0:
        reasons = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count)
        raise DataError(
            f"no event is left: {reasons or 'all rows are bad'}", "correct data.start, data.end, columns or the sample"
        )
    return rows, counts


def _sampled(rows: pl.DataFrame, use_case: UseCase, sample: float, entity: str | None) -> pl.Series:
    entities = list(use_case.data.columns.entities)
    if entity is not None and entity not in entities:
        raise DataError(f"cannot sample by {entity!r}", f"entities: {', '.join(entities) or 'none'}")
    return share_of(rows.get_column(entity or (entities[0] if entities else "event_id"))) < sample


def _counts(
    mapped: Mapped, wrong: tuple[Findings, pl.DataFrame] | None, events: pl.DataFrame, labels: pl.DataFrame
) -> dict[str, Any]:
    found = [mapped.findings, *([wrong[0]] if wrong else [])]
    return {
        "rows": int(mapped.findings.bad.size),
        "events": events.height,
        "labels": labels.height,
        "quarantined": {f.table: int(f.bad.sum()) for f in found},
        "reasons": {f"{f.table}: {reason}": n for f in found for reason, n in f.counts().items()},
    }


def _quarantine(mapped: Mapped, wrong: tuple[Findings, pl.DataFrame] | None) -> pl.DataFrame:
    parts = [mapped.findings.quarantine(mapped.records)]
    return pl.concat(parts if wrong is None else [*parts, wrong[0].quarantine(wrong[1])])
