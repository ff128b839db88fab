"""Rows spread over files by a key, so that all rows with one key can be read together and not much else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


def partitions_of(rows: int, at_once: int) -> int:
    """How many partitions keep each at about `at_once` rows."""
    return max(1, -(-rows // at_once))


class Partitions:
    """A folder of Parquet files, one for each remainder of the key's hash. Use it as a context while adding.

    Args:
        folder: is made.
        key: column that decides the file.
        count: number of files.
    """

    def __init__(self, folder: Path, key: str, count: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self._key, self._count = folder, key, count
        self._writers: dict[int, pq.ParquetWriter] = {}

    def __enter__(self) -> Partitions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def add(self, rows: pl.DataFrame) -> None:
        """Append rows; all additions have the same columns."""
        where = (pl.col(self._key).hash(0) % self._count).alias("!partition")
        for (number, *_), part in (
            rows.with_columns(where).partition_by("!partition", as_dict=True, maintain_order=True).items()
        ):
            table: pa.Table = part.drop("!partition").to_arrow(compat_level=pl.CompatLevel.oldest())
            if number not in self._writers:
                path = self._path(number)
                self._writers[number] = pq.ParquetWriter(path, table.schema, compression="lz4")
            self._writers[number].write_table(table)

    def __iter__(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Each partition that holds rows, with its number; within one, rows are in the order of their additions."""
        for number in sorted(self._writers):
            yield number, pl.read_parquet(self._path(number))

    def read(self, number: int) -> pl.DataFrame | None:
        """One partition; None where it holds no rows."""
        return pl.read_parquet(self._path(number)) if number in self._writers else None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.parquet"
