"""Tables that are written chunk by chunk, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sluice.errors import DataError


class Write(Protocol):
    """Writes the chunks of one table."""

    def __call__(self, chunks: Iterator[pl.DataFrame]) -> None: ...


def table_writer(out: Path) -> Write:
    """Writes chunks to a file beside `out`, which takes its place when it is whole.

    Raises:
        DataError: `out` is neither .parquet nor .csv.
    """
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
