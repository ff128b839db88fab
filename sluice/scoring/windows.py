"""Windows over more rows than fit into memory: what one entity's rows see lies in one partition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sluice.errors import DataError
from sluice.features.historical import window_features
from sluice.features.repository import Service
from sluice.scoring.partitions import Partitions, partitions_of
from sluice.scoring.pieces import AT, Laid, Piece
from sluice.settings import UseCase
from sluice.steps import Progress

History = tuple[pl.DataFrame, pl.DataFrame]
"""Events and the label stream before the source's own rows."""

_KNOWN = "known"
"""Marks a row that history holds: it asks, and is not seen a second time."""


@dataclass(frozen=True)
class Answers:
    """The windows of all rows, on disk: a folder for each entity, in each file rows in the order of their places."""

    folder: Path
    service: Service

    def of(self, piece: Piece) -> pl.DataFrame:
        """The service's features of the good rows of a piece, in their order."""
        found = []
        for entity in _entities(self.service):
            rows = pl.scan_parquet(self.folder / entity / "answers" / "*.parquet")
            here = rows.filter(pl.col(AT).is_between(piece.start, piece.stop, closed="left")).collect()
            found.append(here.sort(AT).drop(AT))
        return pl.concat(found, how="horizontal").select(self.service.names)


def answer_windows(
    use_case: UseCase,
    service: Service,
    laid: Laid,
    history: History | None,
    folder: Path,
    *,
    rows: int,
    root: Path | None,
    progress: Progress,
) -> Answers:
    """Answer the windows of all good rows, for one entity after another, a partition of about `rows` rows at a time.

    Raises:
        DataError: the history lacks a column.
        FeatureError: the repository cannot be read.
    """
    count = partitions_of(laid.rows + (history[0].height if history else 0), rows)
    entities = _entities(service)
    for number, entity in enumerate(entities):
        out = folder / entity / "answers"
        out.mkdir(parents=True)
        spread = _spread(laid, history, folder / entity, entity, count, rows)
        for part, (asked, seen, labels) in spread:
            if asked.height:
                answered = window_features(use_case, service, seen, labels, asked, entity=entity, root=root)
                answered.insert_column(0, asked.get_column(AT)).sort(AT).write_parquet(
                    out / f"{part:06d}.parquet", compression="lz4", row_group_size=max(1024, rows // count)
                )
            progress("windows", number * count + part + 1, len(entities) * count, f"by {entity}")
    return Answers(folder, service)


def _entities(service: Service) -> list[str]:
    return list(dict.fromkeys(part.join_key for part in service.parts))


def _spread(
    laid: Laid, history: History | None, folder: Path, entity: str, count: int, rows: int
) -> Iterator[tuple[int, tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]]:
    """Each partition: the rows that ask, those that are seen, and the labels."""
    with Partitions(folder / "events", entity, count) as events, Partitions(folder / "labels", entity, count) as labels:
        for part in _rows(laid, history, rows):
            events.add(part)
        for part in history[1].iter_slices(rows) if history else ():
            labels.add(part)
    for number, found in events:
        seen = found.filter(~pl.col(_KNOWN)).drop(AT, _KNOWN).sort("event_time", "event_id")
        asked = found.filter(pl.col(AT).is_not_null()).drop(_KNOWN)
        told = labels.read(number)
        yield number, (asked, seen, _no_labels(seen, history) if told is None else told)


def _rows(laid: Laid, history: History | None, rows: int) -> Iterator[pl.DataFrame]:
    """The pieces' good rows, then history's, in the same columns."""
    columns: list[str] = []
    for piece in laid.pieces:
        good = laid.good(piece)
        columns = [name for name in good.columns if name != AT]
        held = history[0].get_column("event_id") if history else pl.Series(dtype=pl.String)
        yield good.with_columns(pl.col("event_id").is_in(held.implode()).alias(_KNOWN))
    if history is None:
        return
    missing = [name for name in columns if name not in history[0].columns]
    if missing:
        raise DataError(f"the history has no column {', '.join(missing)}", "run `sluice ingest` with these settings")
    for part in history[0].select(columns).iter_slices(rows):
        yield part.with_columns(pl.lit(None, pl.Int64).alias(AT), pl.lit(False).alias(_KNOWN))


def _no_labels(rows: pl.DataFrame, history: History | None) -> pl.DataFrame:
    """The label stream of a world without labels."""
    if history is not None:
        return history[1].clear()
    return rows.clear().with_columns(label=pl.lit(0.0), label_time=pl.col("event_time"))
