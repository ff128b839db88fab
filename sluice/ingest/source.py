"""Read the raw table: a CSV or Parquet file, a folder or an s3:// prefix of them."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl
from polars.exceptions import NoDataError, PolarsError

from sluice.errors import DataError, first_line
from sluice.ingest.files import SourceFile, source_files
from sluice.settings.operation import Storage

_RELAXED: Literal["vertical_relaxed"] = "vertical_relaxed"


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
    _check_same_schema(files, [dict(table.schema) for table in tables])
    starts = [0]
    for table in tables:
        starts.append(starts[-1] + table.height)
    if starts[-1] == 0:
        raise _empty(source)
    columns = tables[0].columns
    table = pl.concat([t.select(columns) for t in tables], how=_RELAXED, rechunk=True)
    return Raw(table, [file.name for file in files], starts[:-1])


def source_pieces(
    source: str,
    wanted: Mapping[str, str],
    storage: Storage,
    *,
    rows: int,
    scratch: Path,
    everything: bool = False,
    credentials: dict[str, str] | None = None,
) -> Iterator[Raw]:
    """What `read_source` reads, at most `rows` rows of one file after another.

    Args:
        scratch: folder for copies of objects in S3, one at a time: memory holds a piece, not a file.

    Raises:
        DataError, StoreError: as `read_source`; before the first piece, but for what cannot be decoded.
    """
    files = [_on_this_disk(file, scratch) for file in source_files(source, storage, credentials)]
    schemas = [_schema(file, wanted, everything) for file in files]
    _check_same_schema(files, schemas)
    # As one table would hold them: where a file has integers and another numbers, all have numbers.
    joined = pl.concat([pl.DataFrame(schema=schema).select(list(schemas[0])) for schema in schemas], how=_RELAXED)
    seen = 0
    for file in files:
        start = 0
        for piece in _pieces(file, list(joined.schema), rows):
            yield Raw(piece.cast(joined.schema), [file.name], [-start])
            start += piece.height
        seen += start
    if seen == 0:
        raise _empty(source)


def _on_this_disk(file: SourceFile, scratch: Path) -> SourceFile:
    content = file.open()
    if isinstance(content, Path):
        return file
    copy = scratch / f"{len(list(scratch.iterdir())):06d}-{file.name.rsplit('/', 1)[-1]}"
    copy.write_bytes(content)
    return replace(file, open=lambda: copy)


def _schema(file: SourceFile, wanted: Mapping[str, str], everything: bool) -> dict[str, pl.DataType]:
    with readable(file):
        there: dict[str, pl.DataType] = dict(_scan(file).collect_schema())
        return {name: there[name] for name in _columns(file, list(there), wanted, everything)}


def _pieces(file: SourceFile, columns: list[str], rows: int) -> Iterator[pl.DataFrame]:
    with readable(file):
        for batch in _scan(file).select(columns).collect_batches(chunk_size=rows, maintain_order=True):
            yield from batch.iter_slices(rows)


def _scan(file: SourceFile) -> pl.LazyFrame:
    path = file.open()
    assert isinstance(path, Path)
    return pl.scan_csv(path, infer_schema=False) if file.is_csv else pl.scan_parquet(path, hive_partitioning=False)


def missing_column(where: str, column: str, setting: str, there: list[str]) -> DataError:
    """The error for a column that a setting names and the table does not have, with the nearest names."""
    lowered = {name.lower(): name for name in there}
    near = difflib.get_close_matches(column.lower(), list(lowered), n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(lowered[name]) for name in near)}? " if near else ""
    return DataError(f"{where}: no column {column!r}; it has {', '.join(there)}", f"{hint}correct {setting}")


def _read(file: SourceFile, wanted: Mapping[str, str], everything: bool) -> pl.DataFrame:
    content = file.open()
    with readable(file):
        columns = _columns(file, _column_names(file, content), wanted, everything)
        if file.is_csv:
            return pl.read_csv(_stream(content), columns=columns, infer_schema=False)
        return pl.read_parquet(_stream(content), columns=columns, hive_partitioning=False)


def _columns(file: SourceFile, there: list[str], wanted: Mapping[str, str], everything: bool) -> list[str]:
    for column, setting in wanted.items():
        if column not in there:
            raise missing_column(file.name, column, setting, there)
    return there if everything else [name for name in there if name in wanted]


@contextmanager
def readable(file: SourceFile) -> Iterator[None]:
    """Say which file it is that cannot be read.

    Raises:
        DataError: instead of what Polars or the file system raise within.
    """
    try:
        yield
    except NoDataError:
        raise DataError(f"{file.name}: the file is empty", "check that the export wrote a header") from None
    except (PolarsError, OSError) as error:
        kind = "CSV with commas, in UTF-8" if file.is_csv else "Parquet"
        reason = first_line(error, 200)
        raise DataError(f"{file.name}: cannot be read as {kind}: {reason}", "repair or remove the file") from None


def _column_names(file: SourceFile, content: Path | bytes) -> list[str]:
    if file.is_csv:
        return pl.read_csv(_stream(content), n_rows=0, infer_schema=False).columns
    return list(pl.read_parquet_schema(_stream(content)))


def _stream(content: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content


def _empty(source: str) -> DataError:
    return DataError(f"{source}: the table is empty", "check that the export wrote rows")


def _check_same_schema(files: list[SourceFile], schemas: list[dict[str, pl.DataType]]) -> None:
    """Integers of several widths go together, numbers and text do not: one of the files is wrong."""
    first = schemas[0]
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        for here, there, names in ((file, first, list(schema)), (files[0], schema, list(first))):
            for name in there:
                if name not in names:
                    raise missing_column(here.name, name, "the files: all have the same columns", names)
        for name, dtype in schema.items():
            if not _go_together(dtype, first[name]):
                raise DataError(
                    f"{file.name}: column {name!r} is {dtype}, in {files[0].name} it is {first[name]}",
                    "write all files of a source with one schema",
                )


def _go_together(a: pl.DataType, b: pl.DataType) -> bool:
    return a == b or (a.is_numeric() and b.is_numeric()) or pl.Null in (a, b)
