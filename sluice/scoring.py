"""Batch scoring: the graph that the endpoint serves, over files of raw rows with their point-in-time features.

A row comes out for every row that went in, in the same order; rows that break a rule have no score and a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sluice.errors import DataError
from sluice.export.graph import Scorer
from sluice.features.historical import feature_rows
from sluice.features.schema import FeatureSchema, to_matrix
from sluice.ingest.events import map_events, wanted_columns
from sluice.ingest.source import read_source
from sluice.settings import UseCase
from sluice.steps import Progress, silent

CHUNK = 262_144
"""Rows whose features are in memory at once."""


@dataclass(frozen=True)
class ScoredFile:
    """What was written: rows in all, rows with a score, and how many rows each reason kept from one."""

    path: Path
    rows: int
    scored: int
    reasons: dict[str, int]


def score_table(graph: Scorer, schema: FeatureSchema, rows: pl.DataFrame, *, chunk: int = CHUNK) -> np.ndarray:
    """Scores of feature rows, a chunk at a time.

    Args:
        rows: a column for every name of the schema.

    Returns:
        float32 [n] probability of the positive class or value; [n, k] probabilities of k classes.

    Raises:
        FeatureError: the rows lack a feature of the schema.
    """
    starts = range(0, max(rows.height, 1), chunk)
    return np.concatenate([graph.score(to_matrix(schema, rows[start : start + chunk])) for start in starts])


def score_file(
    use_case: UseCase,
    graph: Scorer,
    schema: FeatureSchema,
    source: str,
    out: Path,
    *,
    now: datetime,
    history: tuple[pl.DataFrame, pl.DataFrame] | None = None,
    pseudonym_key: bytes | None = None,
    root: Path | None = None,
    chunk: int = CHUNK,
    progress: Progress = silent,
) -> ScoredFile:
    """Score the raw rows of `source` (file, folder or s3:// prefix; labels are not needed) into `out`.

    Args:
        out: .parquet or .csv with `event_id`, `score` (or `score_<class>` and `class`), `reason`; written whole or not.
        now: events after it are from the future, and have no score.
        history: events and label stream before the source's own rows; its windows see both.
        pseudonym_key: the secret that ingest was given for hashed personal columns.
        root: folder that `features.repo` is relative to.
        chunk: rows whose features are in memory at once.

    Raises:
        DataError: the source cannot be read, lacks a column, or `out` is of neither kind.
    """
    write = _writer(out)
    columns = use_case.data.columns
    use_case = _without_labels(use_case)
    progress("score", 0, 0, "read")
    raw = read_source(source, wanted_columns(use_case), use_case.storage, everything=_ids_are_hashes(use_case))
    # An id that is a hash of the row leaves the label out, here as in ingest.
    label = [name for name in (columns.label, columns.label_time) if name in raw.table.columns]
    raw = replace(raw, table=raw.table.drop(label))
    mapped = map_events(use_case, raw, now, pseudonym_key or use_case.name.encode())
    found = _found(mapped.rows, mapped.findings.bad, mapped.findings.quarantine(mapped.records))
    events, labels = _with_history(mapped.rows, history, list(use_case.data.columns.entities))

    def chunks() -> Iterator[pl.DataFrame]:
        for start in range(0, found.height, chunk):
            part = found[start : start + chunk]
            asked = mapped.rows[part.get_column("row").drop_nulls()]
            yield _scored(use_case, graph, schema, part, _features(use_case, events, labels, asked, root))
            progress("score", min(start + chunk, found.height), found.height)

    write(chunks())
    return ScoredFile(out, found.height, mapped.rows.height, mapped.findings.counts())


def _without_labels(use_case: UseCase) -> UseCase:
    data = use_case.data
    columns = data.columns.model_copy(update={"label": None, "label_time": None})
    return use_case.model_copy(update={"data": data.model_copy(update={"columns": columns})})


def _ids_are_hashes(use_case: UseCase) -> bool:
    return use_case.data.columns.event_id is None


def _found(rows: pl.DataFrame, bad: np.ndarray, quarantine: pl.DataFrame) -> pl.DataFrame:
    """One row for each row of the source: where it is among the good rows, or why it is not."""
    row = np.cumsum(~bad) - 1
    places = pl.DataFrame({"row": pl.Series(row, dtype=pl.Int64), "bad": bad})
    reason = pl.Series("reason", [None], dtype=pl.String).new_from_index(0, len(bad))
    reason = reason.scatter(bad.nonzero()[0], quarantine.get_column("reason")) if bad.any() else reason
    good = pl.when(~pl.col("bad")).then(pl.col("row"))
    return places.select(row=good).with_columns(
        event_id=rows.get_column("event_id")[pl.Series(row).clip(0)].set(pl.Series(bad), None)
        if rows.height
        else pl.lit(None, pl.String),
        reason=reason,
    )


def _with_history(
    rows: pl.DataFrame, history: tuple[pl.DataFrame, pl.DataFrame] | None, entities: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What windows see: history, and the rows that it does not hold yet."""
    ordered = rows.sort("event_time", "event_id")
    if history is None:
        return ordered, _no_labels(rows, entities)
    events, labels = history
    new = ordered.join(events, on="event_id", how="anti").select(events.columns)
    return pl.concat([events, new]).sort("event_time", "event_id"), labels


def _no_labels(rows: pl.DataFrame, entities: list[str]) -> pl.DataFrame:
    """The label stream of a world without labels."""
    times = {"label_time": pl.col("event_time"), "event_time": pl.col("event_time")}
    return rows.clear().select("event_id", *entities, label=pl.lit(0.0), **times)


def _features(
    use_case: UseCase, events: pl.DataFrame, labels: pl.DataFrame, asked: pl.DataFrame, root: Path | None
) -> pl.DataFrame:
    if asked.height == 0:
        return pl.DataFrame()
    return feature_rows(use_case, events, labels, questions=asked, root=root)


def _scored(
    use_case: UseCase, graph: Scorer, schema: FeatureSchema, part: pl.DataFrame, rows: pl.DataFrame
) -> pl.DataFrame:
    """The output rows of one chunk: scores of the good ones laid where they were."""
    classes = use_case.data.labels.classes if use_case.task == "multiclass" else []
    names = [f"score_{name}" for name in classes] or ["score"]
    scores = np.full((part.height, len(names)), np.nan, dtype=np.float32)
    good = part.get_column("row").is_not_null().to_numpy()
    if rows.height:
        scores[good] = score_table(graph, schema, rows).reshape(rows.height, -1)
    columns = {name: pl.Series(name, scores[:, i]).fill_nan(None) for i, name in enumerate(names)}
    table = part.select("event_id").with_columns(**columns)
    if classes:
        top = pl.Series(np.array(classes, dtype=object)[np.nan_to_num(scores).argmax(axis=1)], dtype=pl.String)
        table = table.with_columns(pl.when(pl.Series(good)).then(top).alias("class"))
    return table.with_columns(part.get_column("reason"))


class _Write(Protocol):
    def __call__(self, chunks: Iterator[pl.DataFrame]) -> None: ...


def _writer(out: Path) -> _Write:
    """Writes chunks to a file beside `out`, which takes its place when it is whole."""
    kinds = {".parquet": pq.ParquetWriter, ".csv": pa_csv.CSVWriter}
    make = kinds.get(out.suffix.lower())
    if make is None:
        raise DataError(f"{out}: scores are written as .parquet or .csv", "name the output so")

    def write(chunks: Iterator[pl.DataFrame]) -> None:
        part = out.with_name(f".{out.name}.part")
        writer = None
        try:
            for chunk in chunks:
                table: pa.Table = chunk.to_arrow(compat_level=pl.CompatLevel.oldest())
                writer = writer or make(str(part), table.schema)
                writer.write_table(table)
            if writer is not None:
                writer.close()
                part.replace(out)
        finally:
            part.unlink(missing_ok=True)

    return write
