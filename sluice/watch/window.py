"""A window of rows to compare: feature rows as they are, or raw events whose features are computed first."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from sluice.errors import WatchError
from sluice.export.graph import Graph
from sluice.features.repository import refuse_other_windows
from sluice.ingest import Ingested
from sluice.registry.servable import Servable
from sluice.scoring import score_table, source_features
from sluice.watch.sampling import with_scores


def window_rows(
    servable: Servable, source: str, *, now: datetime, history: Path | None, root: Path | None = None
) -> pl.DataFrame:
    """`event_time`, the version's features and `score` of a table, and `event_id` where it has one.

    Args:
        source: a Parquet file with `event_time` and the version's features (and `score`, else it is computed); or raw
            events as `data.source` has them, whose features are computed.
        history: folder of `sluice ingest` with the events and labels before; for raw events only.

    Raises:
        DataError: it cannot be read. WatchError: it holds no rows.
    """
    names = list(servable.schema.names)
    table = _features(source, names)
    if table is None:
        table = _computed(servable, source, now, history, root)
    if table.is_empty():
        raise WatchError(f"{source} holds no rows to compare", "name a table of the days in question")
    kept = table.select("event_time", *names, *(name for name in ("event_id", "score") if name in table.columns))
    if "score" in kept.columns:
        return kept.with_columns(pl.col("score").cast(pl.Float32))
    return with_scores(kept, score_table(Graph(servable.graph), servable.schema, kept), servable.schema)


def _features(source: str, names: list[str]) -> pl.DataFrame | None:
    """The table, where it holds the features already."""
    path = Path(source)
    if path.suffix != ".parquet" or not path.is_file():
        return None
    found = pl.read_parquet_schema(path)
    return pl.read_parquet(path) if {"event_time", *names} <= set(found) else None


def _computed(servable: Servable, source: str, now: datetime, history: Path | None, root: Path | None) -> pl.DataFrame:
    refuse_other_windows(servable.use_case, servable.document.get("windows"), root)
    known = Ingested.read(history) if history else None
    before = (known.events, known.labels) if known else None
    return source_features(servable.use_case, source, now=now, history=before, root=root)
