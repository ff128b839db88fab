"""Files, folders and S3: what is read, and the error that names what is missing."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ingest_sources import NOW, Read, rows, use_case

from sluice.errors import DataError, StoreError
from sluice.ingest import Ingested, ingest
from sluice.ingest.fingerprint import source_digest
from sluice.storage import open_store


def _from(source: Path | str, **data: Any) -> Ingested:
    return ingest(use_case(**data), source=str(source), now=NOW)


def _fails(source: Path | str, **data: Any) -> DataError:
    with pytest.raises(DataError) as error:
        _from(source, **data)
    return error.value


def test_a_folder_is_one_table_in_order_of_names(tmp_path: Path) -> None:
    table = rows(9)
    (tmp_path / "month=4").mkdir()
    table[:4].write_parquet(tmp_path / "month=4" / "a.parquet")
    table[4:].write_parquet(tmp_path / "b.PARQUET")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.parquet").write_text("no")
    (tmp_path / "notes.txt").write_text("no")
    table.write_parquet(tmp_path / ".." / "whole.parquet")
    assert _from(tmp_path).digest == _from(tmp_path / ".." / "whole.parquet").digest


def test_packed_csv(tmp_path: Path) -> None:
    (tmp_path / "events.csv.gz").write_bytes(gzip.compress(rows().write_csv().encode()))
    assert _from(tmp_path / "events.csv.gz").events.height == 6


def test_quarantine_names_the_file_and_its_row(tmp_path: Path) -> None:
    rows(4).write_parquet(tmp_path / "a.parquet")
    bad = rows(3, transaction_id=["x", "y", "z"], amount=[1.0, 2, -1])
    bad.write_parquet(tmp_path / "b.parquet")
    quarantine = _from(tmp_path).quarantine
    assert quarantine.select("file", "row").row(0) == (str(tmp_path / "b.parquet"), 2)


def test_missing_file(tmp_path: Path) -> None:
    error = _fails(tmp_path / "none.parquet")
    assert "none.parquet: there is no such file" in error.message
    assert "data.source" in error.hint


def test_empty_folder_and_other_files(tmp_path: Path) -> None:
    assert "holds no .csv" in _fails(tmp_path).message
    (tmp_path / "events.xlsx").touch()
    assert "holds no .csv" in _fails(tmp_path / "events.xlsx").message


def test_empty_tables(tmp_path: Path) -> None:
    rows(0).write_parquet(tmp_path / "a.parquet")
    assert "the table is empty" in _fails(tmp_path).message
    (tmp_path / "a.csv").touch()
    assert "the file is empty" in _fails(tmp_path / "a.csv").message


def test_files_that_are_not_what_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("not parquet at all")
    assert "cannot be read as Parquet" in _fails(tmp_path / "a.parquet").message
    (tmp_path / "a.csv").write_text("transaction_id,time\n1,2,3,4\n")
    assert "a.csv" in _fails(tmp_path / "a.csv").message


def test_a_missing_column_is_named_with_what_is_there_and_near_names(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows().rename({"amount": "Amount", "card_id": "card"}).write_parquet(path)
    error = _fails(path)
    assert "no column 'card_id'; it has transaction_id, time, card," in error.message
    assert "'card'" in error.hint
    assert "data.columns.entities.card" in error.hint
    error = _fails(path, columns={"entities": {"card": "card", "terminal": "terminal_id"}})
    assert "did you mean 'Amount'?" in error.hint


def test_csv_and_parquet_in_one_folder(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / "a.parquet")
    rows().write_csv(tmp_path / "b.csv")
    assert "both CSV and Parquet" in _fails(tmp_path).message


def test_files_with_other_schemas(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / "a.parquet")
    rows(amount=["1"] * 6).write_parquet(tmp_path / "b.parquet")
    error = _fails(tmp_path)
    assert "b.parquet: column 'amount' is String" in error.message
    assert "a.parquet it is Float64" in error.message
    rows().drop("amount").write_parquet(tmp_path / "b.parquet")
    assert "b.parquet: no column 'amount'" in _fails(tmp_path).message


def test_integers_of_several_widths_go_together(tmp_path: Path) -> None:
    rows(3).with_columns(pl.col("card_id").cast(pl.Int8)).write_parquet(tmp_path / "a.parquet")
    more = rows(3, transaction_id=["x", "y", "z"])
    more.with_columns(pl.col("card_id").cast(pl.UInt64)).write_parquet(tmp_path / "b.parquet")
    assert _from(tmp_path).events.height == 6


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("time", list(range(6)), "expected timestamps or ISO 8601 text"),
        ("amount", [[1.0]] * 6, "expected a number"),
        ("card_id", [[1]] * 6, "expected text or whole numbers"),
        ("fraud", [[1]] * 6, "expected true or false"),
    ],
)
def test_a_column_of_a_wrong_type(tmp_path: Path, column: str, values: list[Any], said: str) -> None:
    rows(6, **{column: values}).write_parquet(tmp_path / "a.parquet")
    error = _fails(tmp_path / "a.parquet")
    assert f"column {column!r} is " in error.message
    assert said in error.message


def test_the_result_comes_back_from_its_folder(tmp_path: Path, read: Read) -> None:
    found = read(rows(6, amount=[-1.0, 1, 1, 1, 1, 1]))
    found.write(tmp_path / "out")
    back = Ingested.read(tmp_path / "out")
    assert back.events.equals(found.events)
    assert back.labels.equals(found.labels)
    assert back.quarantine.equals(found.quarantine)
    assert (back.counts, back.digest) == (found.counts, found.digest)


def test_the_sources_digest_follows_its_content(tmp_path: Path) -> None:
    case = use_case(source=str(tmp_path))
    rows().write_parquet(tmp_path / "a.parquet")
    before = source_digest(case)
    assert source_digest(case) == before
    rows(5).write_parquet(tmp_path / "a.parquet")
    assert source_digest(case) != before
    with pytest.raises(DataError, match="no such file"):
        source_digest(use_case(source=str(tmp_path / "none")))


@pytest.mark.minio
def test_s3_prefix_and_object(minio: Any, tmp_path: Path) -> None:
    table, bucket = rows(9), open_store(minio.storage, credentials=minio.credentials)
    for name, part in (("raw/a.parquet", table[:4]), ("raw/deep/b.parquet", table[4:]), ("raw/_SUCCESS", table)):
        part.write_parquet(tmp_path / "part")
        bucket.put(name, tmp_path / "part")
    table.write_parquet(tmp_path / "whole.parquet")
    source, keys = f"{minio.storage.url}/raw", minio.credentials
    case = use_case(source=source, top={"storage": minio.storage.model_dump(mode="json")})
    assert ingest(case, now=NOW, credentials=keys).digest == _from(tmp_path / "whole.parquet").digest
    assert ingest(case, source=f"{source}/a.parquet", now=NOW, credentials=keys).events.height == 4
    before = source_digest(case, credentials=keys)
    assert source_digest(case, credentials=keys) == before
    bucket.put("raw/a.parquet", tmp_path / "whole.parquet")
    assert source_digest(case, credentials=keys) != before
    for missing in (f"{source}/nothing/", f"{source}/none.parquet"):
        with pytest.raises((DataError, StoreError), match="no"):
            ingest(case, source=missing, now=NOW, credentials=keys)
    with pytest.raises(StoreError):
        ingest(case, now=NOW, credentials={"access_key_id": "nobody", "secret_access_key": "nothing-at-all"})
