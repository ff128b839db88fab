"""Read the raw table: a CSV or Parquet file, a folder or an s3:// prefix of them."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import NoDataError, PolarsError

from sluice.errors import DataError
from sluice.ingest.files import SourceFile, source_files
from sluice.settings.operation import Storage


@dataclass(frozen=True)
class Raw:
    """The source's columns as they are (CSV: all text), its files in order and each one's first row."""

    table: pl.DataFrame
    files: list[str]
    starts: list[int]


def read_source(
    source: str,
    wanted: Mapping[str, str],
    storage: Storage,
    *,
    everything: bool = False,
    credentials: dict[str, str] | None = None,
) -> Raw:
    """The wanted columns of all files, one after another in order of their names.

    Args:
        source: a file, a folder, or s3://…
        wanted: source column to the setting that names it.
        everything: read the other columns too.
        credentials: for S3, as `open_store` takes them.

    Raises:
        DataError: nothing there, nothing in it, a wanted column missing, files that do not fit together or
            cannot be read.
        StoreError: S3 does not answer.
    """
    files = source_files(source, storage, credentials)
    tables = [_read(file, wanted, everything) for file in files]
    _check_same_schema(files, tables)
    starts = [0]
    for table in tables:
        starts.append(starts[-1] + table.height)
    if starts[-1] == 0:
        raise DataError(f"{source}: the table is empty", "check that the export wrote rows")
    columns = tables[0].columns
    table = pl.concat([t.select(columns) for t in tables], how="vertical_relaxed", rechunk=True)
    return Raw(table, [file.name for file in files], starts[:-1])


def missing_column(where: str, column: str, setting: str, there: list[str]) -> DataError:
    """The error for a column that a setting names and the table does not have, with the nearest names."""
    lowered = {name.lower(): name for name in there}
    near = difflib.get_close_matches(column.lower(), list(lowered), n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(lowered[name]) for name in near)}? " if near else ""
    return DataError(f"{where}: no column {column!r}; it has {', '.join(there)}", f"{hint}correct {setting}")


def _read(file: SourceFile, wanted: Mapping[str, str], everything: bool) -> pl.DataFrame:
    content = file.open()
    try:
        there = _column_names(file, content)
        for column, setting in wanted.items():
            if column not in there:
                raise missing_column(file.name, column, setting, there)
        columns = there if everything else [name for name in there if name in wanted]
        if file.is_csv:
            return pl.read_csv(_stream(content), columns=columns, infer_schema=False)
        return pl.read_parquet(_stream(content), columns=columns, hive_partitioning=False)
    except NoDataError:
        raise DataError(f"{file.name}: the file is empty", "check that the export wrote a header") from None
    except (PolarsError, OSError) as error:
        kind = "CSV" if file.is_csv else "Parquet"
        reason = str(error).strip().splitlines()[0][:200]
        raise DataError(f"{file.name}: cannot be read as {kind}: {reason}", "repair or remove the file") from None


def _column_names(file: SourceFile, content: Path | bytes) -> list[str]:
    if file.is_csv:
        return pl.read_csv(_stream(content), n_rows=0, infer_schema=False).columns
    return list(pl.read_parquet_schema(_stream(content)))


def _stream(content: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content


def _check_same_schema(files: list[SourceFile], tables: list[pl.DataFrame]) -> None:
    """Integers of several widths go together, numbers and text do not: one of the files is wrong."""
    first = tables[0].schema
    for file, table in zip(files[1:], tables[1:], strict=True):
        for here, there, names in ((file, first, table.columns), (files[0], table.schema, list(first))):
            for name in there:
                if name not in names:
                    raise missing_column(here.name, name, "the files: all have the same columns", names)
        for name, dtype in table.schema.items():
            if not _go_together(dtype, first[name]):
                raise DataError(
                    f"{file.name}: column {name!r} is {dtype}, in {files[0].name} it is {first[name]}",
                    "write all files of a source with one schema",
                )


def _go_together(a: pl.DataType, b: pl.DataType) -> bool:
    return a == b or (a.is_numeric() and b.is_numeric()) or pl.Null in (a, b)
