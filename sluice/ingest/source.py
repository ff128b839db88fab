"""Read the raw table: a CSV or Parquet file, a folder or an s3:// prefix of them."""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from sluice.errors import DataError
from sluice.settings.operation import Storage
from sluice.storage.store import open_store

CSV = (".csv", ".csv.gz")
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Raw:
    """The source's columns as they are (CSV: all text), its files in order and each one's first row."""

    table: pl.DataFrame
    files: list[str]
    starts: list[int]


@dataclass(frozen=True)
class SourceFile:
    """A file of the source: its name, and its path or (from S3) its bytes when opened."""

    name: str
    open: Callable[[], Path | bytes]

    @property
    def is_csv(self) -> bool:
        return self.name.lower().endswith(CSV)


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
        source: a file, a folder (searched through, names that start with `.` or `_` are passed over), or s3://…
        wanted: source column to the setting that names it.
        everything: read the other columns too.
        credentials: for S3, as `open_store` takes them.

    Raises:
        DataError: nothing there, nothing in it, a wanted column missing, files that do not fit together or
            cannot be read.
        StoreError: S3 does not answer.
    """
    files = files_of(source, storage, credentials)
    if len({file.is_csv for file in files}) > 1:
        raise DataError(f"{source}: holds both CSV and Parquet files", "keep one kind in a folder")
    tables = [_read(file, wanted, everything) for file in files]
    _check_same_types(files, tables)
    starts = [0]
    for table in tables:
        starts.append(starts[-1] + table.height)
    if starts[-1] == 0:
        raise DataError(f"{source}: the table is empty", "check that the export wrote rows")
    table = pl.concat(tables, how="vertical_relaxed", rechunk=True)
    return Raw(table, [file.name for file in files], starts[:-1])


def files_of(source: str, storage: Storage, credentials: dict[str, str] | None = None) -> list[SourceFile]:
    """The files of a source in order of their names; raises as `read_source` does."""
    return _s3_files(source, storage, credentials) if source.startswith("s3://") else _local_files(source)


def missing_column(where: str, column: str, setting: str, there: list[str]) -> DataError:
    """The error for a column that a setting names and the table does not have, with the nearest names."""
    lowered = {name.lower(): name for name in there}
    near = difflib.get_close_matches(column.lower(), list(lowered), n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(lowered[name]) for name in near)}? " if near else ""
    return DataError(f"{where}: no column {column!r}; it has {', '.join(there)}", f"{hint}correct {setting}")


def _local_files(source: str) -> list[SourceFile]:
    path = Path(source.removeprefix("file://"))
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder", "correct data.source, or give --source")
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*")) if p.is_file() and _is_table(str(p.relative_to(path)))]
    else:
        found = [path] if _is_table(path.name) else []
    if not found:
        raise DataError(f"{path}: holds no {', '.join(CSV + PARQUET)} file", "correct data.source")
    return [SourceFile(str(p), lambda p=p: p) for p in found]  # type: ignore[misc]


def _s3_files(source: str, storage: Storage, credentials: dict[str, str] | None) -> list[SourceFile]:
    is_object = _is_table(source.rsplit("/", 1)[-1])
    prefix, _, name = source.rpartition("/") if is_object else (source, "", "")
    store = open_store(storage.model_copy(update={"url": prefix}), credentials=credentials)
    keys = [name] if is_object else sorted(filter(_is_table, store.keys()))
    if not keys:
        raise DataError(f"{source}: holds no {', '.join(CSV + PARQUET)} file", "correct data.source")
    return [SourceFile(f"{prefix.rstrip('/')}/{key}", lambda key=key: store.get(key)) for key in keys]  # type: ignore[misc]


def _is_table(name: str) -> bool:
    hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return not hidden and name.lower().endswith(CSV + PARQUET)


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
    except PolarsError as error:
        kind = "CSV" if file.is_csv else "Parquet"
        reason = str(error).strip().splitlines()[0][:200]
        raise DataError(f"{file.name}: cannot be read as {kind}: {reason}", "repair or remove the file") from None


def _column_names(file: SourceFile, content: Path | bytes) -> list[str]:
    if file.is_csv:
        try:
            return pl.read_csv(_stream(content), n_rows=0, infer_schema=False).columns
        except pl.exceptions.NoDataError:
            raise DataError(f"{file.name}: the file is empty", "check that the export wrote a header") from None
    return list(pl.read_parquet_schema(_stream(content)))


def _stream(content: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content


def _check_same_types(files: list[SourceFile], tables: list[pl.DataFrame]) -> None:
    """Integers of several widths go together, numbers and text do not: one of the files is wrong."""
    first = tables[0].schema
    for file, table in zip(files[1:], tables[1:], strict=True):
        for name, dtype in table.schema.items():
            if name not in first:
                raise missing_column(files[0].name, name, "the files of data.source", list(first))
            if not _go_together(dtype, first[name]):
                raise DataError(
                    f"{file.name}: column {name!r} is {dtype}, in {files[0].name} it is {first[name]}",
                    "write all files of a source with one schema",
                )
        for name in first:
            if name not in table.columns:
                raise missing_column(file.name, name, "the files of data.source", table.columns)


def _go_together(a: pl.DataType, b: pl.DataType) -> bool:
    return a == b or (a.is_numeric() and b.is_numeric()) or pl.Null in (a, b)
