"""Raw data that cannot be used: the ingest step says so and nothing is registered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl

from faulted.fault import Fault, refused
from faulted.place import Place
from sluice.ingest import ingest

Break = Callable[[Path], None]


def _broken(name: str, sign: str, spoil: Break, place: Place) -> str:
    folder = place.folder / "broken" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place.folder / "raw", folder)
    spoil(folder)
    with refused(sign) as told:
        ingest(place.use_case(data__source=str(folder)), now=datetime.now(UTC))
    return told[0].replace(str(folder), "…")


def _rewritten(change: Callable[[pl.DataFrame], pl.DataFrame], folder: Path) -> None:
    for file in folder.rglob("*.parquet"):
        change(pl.read_parquet(file)).write_parquet(file)


def _every_tenth_negative(table: pl.DataFrame) -> pl.DataFrame:
    every = pl.int_range(pl.len()) % 10 == 0
    return table.with_columns(amount=pl.when(every).then(-pl.col("amount") - 1).otherwise("amount"))


def _without_amount(table: pl.DataFrame) -> pl.DataFrame:
    return table.drop("amount")


def _no_rows(table: pl.DataFrame) -> pl.DataFrame:
    return table.clear()


def _truncated(folder: Path) -> None:
    file = min(folder.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


_CASES: list[tuple[str, str, str, Break]] = [
    (
        "a tenth of the rows cannot be used",
        "stops, with the share and the reasons",
        "event rows are bad",
        partial(_rewritten, _every_tenth_negative),
    ),
    ("a column is missing", "stops and names the column", "no column 'amount'", partial(_rewritten, _without_amount)),
    ("the table is empty", "stops and says so", "empty", partial(_rewritten, _no_rows)),
    ("a Parquet file is cut off", "stops and names the file", "cannot be read as Parquet", _truncated),
    ("the source is gone", "stops and names the place", "there is no such file or folder", shutil.rmtree),
]
FAULTS = [
    Fault(name, expected, partial(_broken, str(number), sign, spoil))
    for number, (name, expected, sign, spoil) in enumerate(_CASES)
]
