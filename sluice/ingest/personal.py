"""Ids made of contents: pseudonyms of personal columns, ids of rows that have none, and stable shares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import polars as pl

from sluice.errors import DataError
from sluice.settings.use_case import UseCase


def secret_of(use_case: UseCase) -> bytes:
    """What pseudonyms are made with: the contents of the file `data.pseudonym_key`, else the model's name.

    Raises:
        DataError: the file cannot be read, or holds less than 16 bytes.
    """
    if use_case.data.pseudonym_key is None:
        return use_case.name.encode()
    path = Path(use_case.data.pseudonym_key)
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise DataError(
            f"{path}: the key of pseudonyms cannot be read: {error.strerror}", "set data.pseudonym_key, or mount it"
        ) from None
    if len(secret) < 16:
        raise DataError(f"{path}: {len(secret)} bytes are too few for a secret", "openssl rand -hex 32 makes one")
    return secret


def pseudonym(value: str, key: bytes) -> str:
    """32 hexadecimal digits of keyed BLAKE2b: the same for history and for a request.

    With a key that is kept secret nobody can find the value by trying all of them. The default key is the model's
    name, which only keeps two models' pseudonyms apart.
    """
    return hashlib.blake2b(value.encode(), key=key[:64], digest_size=16).hexdigest()


def pseudonyms(values: pl.Series, key: bytes) -> pl.Series:
    """`pseudonym` of a String column; null stays null."""
    return _by_value(values, lambda value: pseudonym(value, key), pl.String)


def share_of(values: pl.Series) -> pl.Series:
    """A fixed number in [0, 1) for each id (String to Float64): below 0.1 lies a tenth of the ids."""
    return _by_value(
        values, lambda v: int.from_bytes(hashlib.blake2b(v.encode(), digest_size=8).digest()) / 2**64, pl.Float64
    )


def row_ids(table: pl.DataFrame, columns: list[str]) -> pl.Series:
    """An id for each row: 32 hexadecimal digits of BLAKE2b of its columns (by name), `-2` … for equal rows."""
    parts = [pl.col(name).cast(pl.String).fill_null("\x00") for name in sorted(columns)]
    joined = table.select(row=pl.concat_str(*parts, separator="\x1f")).get_column("row")
    digests = [hashlib.blake2b(row.encode(), digest_size=16).hexdigest() for row in joined]
    ids = pl.DataFrame({"id": digests}).with_columns(seen=pl.int_range(1, pl.len() + 1).over("id"))
    again = pl.concat_str("id", pl.col("seen").cast(pl.String), separator="-")
    return ids.select(pl.when(pl.col("seen") == 1).then("id").otherwise(again).alias("id")).get_column("id")


def _by_value(values: pl.Series, make: Callable[[str], object], dtype: type[pl.DataType]) -> pl.Series:
    distinct = values.drop_nulls().unique()
    made = pl.Series([make(value) for value in distinct], dtype=dtype)
    return values.replace_strict(distinct, made, default=None, return_dtype=dtype)
