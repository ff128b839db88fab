"""Which files a source is made of: one, a folder's, or those under an s3:// prefix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sluice import digests
from sluice.errors import DataError
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store

CSV = (".csv", ".csv.gz")
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class SourceFile:
    """One file: `open` gives its path or its bytes, `fingerprint` changes when its content does."""

    name: str
    open: Callable[[], Path | bytes]
    fingerprint: Callable[[], str]

    @property
    def is_csv(self) -> bool:
        """CSV, packed or not; else Parquet."""
        return self.name.lower().endswith(CSV)


def source_files(source: str, storage: Storage, credentials: dict[str, str] | None = None) -> list[SourceFile]:
    """The files in order of their names; folders are searched through, names with `.` or `_` in front passed over.

    Raises:
        DataError: there is nothing, no table, or both CSV and Parquet.
        StoreError: S3 does not answer.
    """
    files = _in_s3(source, storage, credentials) if source.startswith("s3://") else _on_disk(source)
    if not files:
        raise DataError(f"{source}: holds no {', '.join(CSV + PARQUET)} file", "correct data.source")
    if len({file.is_csv for file in files}) > 1:
        raise DataError(f"{source}: holds both CSV and Parquet files", "keep one kind in a folder")
    return files


def _on_disk(source: str) -> list[SourceFile]:
    path = Path(source.removeprefix("file://"))
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder", "correct data.source, or give --source")
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*")) if p.is_file() and _is_table(p.relative_to(path).as_posix())]
    else:
        found = [path] if _is_table(path.name) else []
    return [SourceFile(str(p), partial(Path, p), partial(digests.of_file, p)) for p in found]


def _in_s3(source: str, storage: Storage, credentials: dict[str, str] | None) -> list[SourceFile]:
    is_object = _is_table(source.rsplit("/", 1)[-1])
    prefix, _, name = source.rpartition("/") if is_object else (source.rstrip("/"), "", "")
    store = open_store(storage.model_copy(update={"url": prefix}), credentials=credentials)
    if is_object:
        return [_object(store, prefix, name, "")]
    return [_object(store, prefix, key, tag) for key, tag in sorted(store.tags()) if _is_table(key)]


def _object(store: Store, prefix: str, key: str, tag: str) -> SourceFile:
    def fingerprint() -> str:
        return tag or digests.of_bytes(store.get(key))

    return SourceFile(f"{prefix}/{key}", lambda: store.get(key), fingerprint)


def _is_table(name: str) -> bool:
    hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return not hidden and name.lower().endswith(CSV + PARQUET)
