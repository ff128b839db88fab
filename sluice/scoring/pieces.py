"""The source mapped and checked a piece at a time, and laid on disk: good rows, and why others are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from sluice.ingest.events import Mapped, duplicate_reason, map_events, wanted_columns
from sluice.ingest.source import Raw, source_pieces
from sluice.scoring.partitions import Partitions, partitions_of
from sluice.settings import UseCase
from sluice.steps import Progress

AT = "at"
"""Column that holds a row's place in the source, from 0."""

_HASH = 32
"""Length of an id that is a hash of its row, without the number that tells equal rows apart."""


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of the source: a file of the good ones as events, one of the others with their reasons."""

    start: int
    stop: int
    good: Path
    wrong: Path


@dataclass(frozen=True)
class Laid:
    """All pieces, the rows in their good files, how many rows each reason kept from a score, and repeated ids.

    `repeated` has a row for each whose id an earlier piece has: its place, and the id that it gets instead (null: it is
    a duplicate).
    """

    pieces: tuple[Piece, ...]
    usable: int
    reasons: dict[str, int]
    repeated: pl.DataFrame
    duplicate: str

    @property
    def rows(self) -> int:
        """Rows of the source."""
        return self.pieces[-1].stop

    @property
    def scored(self) -> int:
        """Good rows."""
        return self.usable - self.repeated.get_column("event_id").null_count()

    def good(self, piece: Piece) -> pl.DataFrame:
        """The rows of a piece that have a score: the columns of events, and their places."""
        rows = pl.read_parquet(piece.good)
        here = self.repeated.filter(pl.col(AT).is_between(piece.start, piece.stop, closed="left"))
        if here.height == 0:
            return rows
        renamed = rows.join(here.rename({"event_id": "other"}), on=AT, how="left", maintain_order="left")
        duplicate = pl.col(AT).is_in(here.filter(pl.col("event_id").is_null()).get_column(AT).implode())
        return renamed.filter(~duplicate).with_columns(event_id=pl.coalesce("other", "event_id")).drop("other")

    def wrong(self, piece: Piece) -> pl.DataFrame:
        """The other rows of a piece: place and reason."""
        again = self.repeated.filter(
            pl.col(AT).is_between(piece.start, piece.stop, closed="left"), pl.col("event_id").is_null()
        )
        return pl.concat([pl.read_parquet(piece.wrong), again.select(AT, reason=pl.lit(self.duplicate))])


def lay_down(
    use_case: UseCase,
    source: str,
    folder: Path,
    *,
    rows: int,
    now: datetime,
    key: bytes,
    unseen: list[str],
    progress: Progress,
) -> Laid:
    """Read, map and check the source into `folder`.

    Args:
        rows: of a piece, at most.
        unseen: columns that are left out of everything (labels).

    Raises:
        DataError: the source cannot be read, or lacks a column.
    """
    folder.mkdir(parents=True)
    pieces: list[Piece] = []
    reasons: Counter[str] = Counter()
    usable = 0
    for raw in _raw(use_case, source, folder / "copies", rows, unseen):
        start = pieces[-1].stop if pieces else 0
        piece = Piece(start, start + raw.table.height, *(folder / f"{len(pieces):06d}-{n}" for n in ("good", "wrong")))
        mapped = map_events(use_case, raw, now, key)
        _lay_down(mapped, piece)
        reasons.update(mapped.findings.counts())
        usable += mapped.rows.height
        pieces.append(piece)
        progress("score", 0, 0, f"{piece.stop:,} rows read")
    repeated, duplicate = _repeated(use_case, pieces, folder / "ids", rows), duplicate_reason(use_case)
    if again := repeated.get_column("event_id").null_count():
        reasons[duplicate] += again
    return Laid(tuple(pieces), usable, dict(reasons), repeated, duplicate)


def _raw(use_case: UseCase, source: str, copies: Path, rows: int, unseen: list[str]) -> Iterator[Raw]:
    copies.mkdir()
    everything, wanted = use_case.data.columns.event_id is None, wanted_columns(use_case)
    for raw in source_pieces(source, wanted, use_case.storage, rows=rows, scratch=copies, everything=everything):
        yield replace(raw, table=raw.table.drop(unseen, strict=False))


def _lay_down(mapped: Mapped, piece: Piece) -> None:
    bad = pl.Series(mapped.findings.bad)
    place = pl.int_range(piece.start, piece.stop, dtype=pl.Int64, eager=True).alias(AT)
    mapped.rows.with_columns(place.filter(~bad)).write_parquet(piece.good, compression="lz4", statistics=False)
    reasons = pl.Series("reason", mapped.findings.reasons(), dtype=pl.String)
    pl.DataFrame([place.filter(bad), reasons]).write_parquet(piece.wrong, compression="lz4", statistics=False)


def _repeated(use_case: UseCase, pieces: list[Piece], folder: Path, rows: int) -> pl.DataFrame:
    """Within a piece ids were looked at; across pieces they are here, with all rows of one id in one partition."""
    found = [pl.DataFrame(schema={AT: pl.Int64, "event_id": pl.String})]
    if len(pieces) == 1:
        return found[0]
    hashed = use_case.data.columns.event_id is None
    name = pl.col("event_id").str.slice(0, _HASH) if hashed else pl.col("event_id")
    with Partitions(folder, "event_id", partitions_of(pieces[-1].stop, rows)) as ids:
        for piece in pieces:
            ids.add(pl.read_parquet(piece.good, columns=[AT, "event_id"]).with_columns(name))
    number = pl.int_range(1, pl.len() + 1).over("event_id")
    other = pl.concat_str("event_id", "number", separator="-") if hashed else pl.lit(None, pl.String)
    for _, part in ids:
        found.append(part.with_columns(number=number).filter(pl.col("number") > 1).select(AT, event_id=other))
    return pl.concat(found)
