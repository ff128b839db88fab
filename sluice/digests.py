"""Names of contents: SHA-256 of bytes, files, JSON documents and tables."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl


def of_bytes(data: bytes) -> str:
    """64 hexadecimal digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(document: Any) -> bytes:
    """The one way a document is written: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def of_json(document: Any) -> str:
    """SHA-256 of the canonical JSON form."""
    return of_bytes(canonical_json(document))


def of_table(table: pl.DataFrame) -> str:
    """SHA-256 of a table's names, types, row count and values; chunks and file format do not count.

    Columns of numbers, booleans, instants and strings; a null differs from every value.
    """
    digest = hashlib.sha256()
    for name in table.columns:
        column = table.get_column(name)
        digest.update(f"{name}\0{column.dtype}\0{table.height}\0".encode())
        digest.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            filled = column.fill_null("")
            digest.update(filled.str.len_bytes().to_numpy().tobytes())
            digest.update(str(filled.str.join("").item()).encode())
        else:
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()


def seed_of(*numbers: int) -> int:
    """A seed of 63 bits from numbers, as unlike for near ones as for far ones."""
    return int(of_json(list(numbers))[:16], 16) >> 1
