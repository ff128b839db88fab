"""Batch scoring: a row out for every row in, in order, equal to scoring one by one."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sluice.errors import DataError
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.ingest import ingest
from sluice.scoring import score_file, score_table
from sluice.settings import UseCase, parse_use_case

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[1]


class Mean:
    """A scorer without a graph: the mean of a row."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        return matrix.mean(axis=1) if len(matrix) else np.zeros(0, dtype=np.float32)


class Three:
    """Scores of three classes."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        return np.stack([matrix[:, 0], 1 - matrix[:, 0], np.zeros(len(matrix), np.float32)], axis=1)


def plain(**changes: Any) -> UseCase:
    """A table without time: two numbers."""
    document: dict[str, Any] = {
        "name": "plain",
        "task": "binary",
        "seed": 1,
        "data": {
            "source": "nowhere",
            "columns": {
                "event_id": "id",
                "values": {"a": {"type": "number"}, "b": {"type": "number", "max": 100}},
                "label": "y",
            },
        },
        "features": {
            "request": [{"kind": "value", "name": "a", "column": "a"}, {"kind": "value", "name": "b", "column": "b"}]
        },
        "split": {"by": "random"},
        "training": {"metric": "log_loss", "candidates": [{"id": "constant", "kind": "constant"}]},
        "gate": {"metric": "log_loss"},
    }
    document["data"] |= changes.pop("data", {})
    return parse_use_case(document | changes)


SCHEMA = FeatureSchema((FeatureColumn("a"), FeatureColumn("b")))


def source(folder: Path, rows: int = 1000) -> Path:
    """Rows of which every 17th has no `b`, every 19th too large a one, and one id comes twice."""
    number = np.arange(rows)
    b = np.where(number % 19 == 18, 1e6, number % 7).astype(np.float64)
    table = pl.DataFrame({"id": number, "a": number / 7, "b": b})
    table = table.with_columns(b=pl.when(pl.Series(number % 17 == 16)).then(None).otherwise(pl.col("b")))
    table = table.with_columns(id=pl.when(pl.Series(number == 500)).then(1).otherwise(pl.col("id")))
    path = folder / "in.parquet"
    table.write_parquet(path)
    return path


@pytest.mark.parametrize("chunk", [7, 1000, 10**6])
def test_a_row_out_for_every_row_in(tmp_path: Path, chunk: int) -> None:
    path = source(tmp_path)
    found = score_file(plain(), Mean(), SCHEMA, str(path), tmp_path / "out.parquet", now=NOW, chunk=chunk)

    raw, out = pl.read_parquet(path), pl.read_parquet(found.path)
    number = np.arange(1000)
    bad = (number % 17 == 16) | (number % 19 == 18) | (number == 500)
    assert out.columns == ["event_id", "score", "reason"]
    assert out.get_column("score").is_null().to_numpy().tolist() == bad.tolist()
    assert out.get_column("reason").is_null().to_numpy().tolist() == (~bad).tolist()
    assert out.get_column("event_id").to_list() == [
        None if wrong else str(i) for i, wrong in zip(raw.get_column("id"), bad, strict=True)
    ]
    good = raw.filter(~pl.Series(bad))
    np.testing.assert_allclose(
        out.get_column("score").drop_nulls().to_numpy(), (good["a"] + good["b"]).to_numpy() / 2, rtol=1e-6
    )
    assert out.get_column("reason")[500] == "id: duplicate"
    assert (found.rows, found.scored) == (1000, int((~bad).sum()))
    assert sum(found.reasons.values()) >= bad.sum()


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz"])
def test_a_folder_of_files_is_scored_alike_in_pieces_and_at_once(tmp_path: Path, kind: str) -> None:
    table = pl.read_parquet(source(tmp_path)).with_columns(pl.col("id").shuffle(seed=3))
    (tmp_path / "raw").mkdir()
    for number, part in enumerate(table.iter_slices(300)):
        path = tmp_path / "raw" / f"{number}.{kind}"
        if kind == "parquet":
            # Integers in one file and numbers in the next: as one table all are numbers.
            part.with_columns(pl.col("a").cast(pl.Int64 if number == 1 else pl.Float64)).write_parquet(path)
        else:
            path.write_bytes(
                gzip.compress(part.write_csv().encode()) if kind == "csv.gz" else part.write_csv().encode()
            )
    outs = []
    for chunk in (10**6, 64):
        out = tmp_path / f"{chunk}.parquet"
        found = score_file(plain(), Mean(), SCHEMA, str(tmp_path / "raw"), out, now=NOW, chunk=chunk)
        outs.append((pl.read_parquet(out), found.rows, found.scored, found.reasons))
    assert outs[0][0].equals(outs[1][0])
    assert outs[0][1:] == outs[1][1:]
    assert outs[0][3]["id: duplicate"] == 1


def test_rows_without_an_id_get_the_one_that_ingest_gives_them(tmp_path: Path) -> None:
    """Equal rows are told apart by a number, which counts over the whole table and not over a piece."""
    columns = {**plain().data.columns.model_dump(), "event_id": None}
    use_case = plain(data={"columns": columns})
    table = pl.DataFrame({"a": np.arange(40) % 7 / 2, "b": np.ones(40), "y": np.arange(40) % 2})
    table.write_parquet(tmp_path / "in.parquet")
    score_file(use_case, Mean(), SCHEMA, str(tmp_path / "in.parquet"), tmp_path / "out.parquet", now=NOW, chunk=9)
    known = ingest(use_case, source=str(tmp_path / "in.parquet"), now=NOW).events
    assert pl.read_parquet(tmp_path / "out.parquet").get_column("event_id").to_list() == known["event_id"].to_list()


def test_csv_and_classes(tmp_path: Path) -> None:
    use_case = plain(
        task="multiclass",
        data={"labels": {"classes": ["x", "y", "z"]}, "columns": plain().data.columns.model_dump()},
    )
    (tmp_path / "in.csv").write_text("id,a,b\n1,0.25,1\n2,0.75,1\n3,,1\n")
    score_file(use_case, Three(), SCHEMA, str(tmp_path / "in.csv"), tmp_path / "out.csv", now=NOW)
    out = pl.read_csv(tmp_path / "out.csv")
    assert out.columns == ["event_id", "score_x", "score_y", "score_z", "class", "reason"]
    assert out.get_column("class").to_list() == ["y", "x", None]
    assert out.get_column("score_y").to_list() == [0.75, 0.25, None]


def test_nothing_half_written(tmp_path: Path) -> None:
    class Broken:
        def score(self, matrix: np.ndarray) -> np.ndarray:  # noqa: ARG002
            raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        score_file(plain(), Broken(), SCHEMA, str(source(tmp_path)), tmp_path / "out.parquet", now=NOW)
    with pytest.raises(DataError, match=r"\.parquet or \.csv"):
        score_file(plain(), Mean(), SCHEMA, str(source(tmp_path)), tmp_path / "out.xlsx", now=NOW)
    assert [p.name for p in tmp_path.iterdir()] == ["in.parquet"]


def test_all_rows_bad_is_no_error(tmp_path: Path) -> None:
    pl.DataFrame({"id": [1, 2], "a": [None, None], "b": [1.0, 1.0]}).write_parquet(tmp_path / "in.parquet")
    found = score_file(plain(), Mean(), SCHEMA, str(tmp_path / "in.parquet"), tmp_path / "out.parquet", now=NOW)
    assert (found.rows, found.scored) == (2, 0)
    assert pl.read_parquet(found.path).get_column("score").to_list() == [None, None]


def test_chunks_do_not_show() -> None:
    rows = pl.DataFrame({"a": np.arange(100.0), "b": np.ones(100)})
    np.testing.assert_array_equal(score_table(Mean(), SCHEMA, rows, chunk=7), score_table(Mean(), SCHEMA, rows))
    assert score_table(Mean(), SCHEMA, rows[:0]).shape == (0,)


def test_windows_see_history_and_the_files_own_rows(tmp_path: Path) -> None:
    """The scores are those of the offline feature rows of everything together."""
    from sluice.features.historical import feature_names, feature_rows
    from sluice.simulate import World, write_raw

    place = ROOT / "tests" / "serving" / "serving_world.py"
    spec = importlib.util.spec_from_file_location("scoring_world", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    use_case: UseCase = module.case()
    folder = write_raw(World(days=40, cards=30, terminals=20, radius=40.0, terminal_rate=0.05), 5, tmp_path / "raw")
    raw = pl.read_parquet(folder)
    known = ingest(use_case, source=str(folder), now=NOW)
    names = feature_names(use_case, root=ROOT)
    schema = FeatureSchema(tuple(FeatureColumn(name, fill=0.0) for name in names))
    expected = score_table(Mean(), schema, feature_rows(use_case, known.events, known.labels, root=ROOT))

    start = known.events.get_column("event_time")[-300]
    later = raw.filter(pl.col("time") >= start).sample(fraction=1.0, shuffle=True, seed=1)
    later.drop("fraud", "fraud_known_at", "scenario").write_parquet(tmp_path / "later.parquet")
    history = known.events.filter(pl.col("event_time") < start), known.labels
    arguments = {"now": NOW, "history": history, "root": ROOT, "chunk": 100}
    score_file(use_case, Mean(), schema, str(tmp_path / "later.parquet"), tmp_path / "out.parquet", **arguments)

    out = pl.read_parquet(tmp_path / "out.parquet")
    assert out.get_column("event_id").to_list() == later.get_column("transaction_id").cast(pl.String).to_list()
    truth = known.events.select("event_id").with_columns(expected=pl.Series(expected))
    joined = out.join(truth, on="event_id", how="left", maintain_order="left")
    assert joined.get_column("score").to_list() == joined.get_column("expected").to_list()
