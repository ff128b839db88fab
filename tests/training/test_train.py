"""One candidate of every kind and task: trained, exported, the same in two folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sluice.errors import ExportError, TrainingError
from sluice.export import Graph
from sluice.features.schema import to_matrix
from sluice.settings import UseCase
from sluice.splits import row_hashes
from sluice.training import Trained, train_candidate
from sluice.training.files import DOCUMENT, GRAPH, INT8_GRAPH, TRAIN_ROWS, VALIDATION_SCORES
from training.small import KINDS_OF, NETWORK, rows, schema_of, small_problem, use_case_of

CASES = [(task, kind) for task, kinds in KINDS_OF.items() for kind in kinds]


def trained(use_case: UseCase, folder: Path, *, count: int = 1500) -> Trained:
    train, validation = rows(use_case.task, count, 1), rows(use_case.task, 600, 2)
    return train_candidate(use_case.training.candidates[1], use_case, schema_of(train), train, validation, folder)


def without_run(folder: Path) -> dict[str, object]:
    document = json.loads((folder / DOCUMENT).read_text())
    document.pop("run")
    return document


@pytest.mark.parametrize(("task", "kind"), CASES)
def test_two_folders_hold_the_same_bytes(task: str, kind: str, tmp_path: Path) -> None:
    use_case = use_case_of(task, kind)
    for name in ("a", "b"):
        trained(use_case, tmp_path / name)
    for file in (GRAPH, TRAIN_ROWS, VALIDATION_SCORES):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert without_run(tmp_path / "a") == without_run(tmp_path / "b")


@pytest.mark.parametrize(("task", "kind"), CASES)
def test_a_candidate_learns_more_than_the_constant(task: str, kind: str, tmp_path: Path) -> None:
    floor = trained(use_case_of(task, "constant"), tmp_path / "floor").metric
    value = trained(use_case_of(task, kind), tmp_path / "it").metric
    if kind == "constant":
        assert value == floor
    else:
        assert value > 1.2 * floor if task == "binary" else value < 0.95 * floor


@pytest.mark.parametrize(("task", "kind"), CASES)
def test_written_scores_are_the_graph_s(task: str, kind: str, tmp_path: Path) -> None:
    trained(use_case_of(task, kind), tmp_path)
    validation = rows(task, 600, 2)
    written = pl.read_parquet(tmp_path / VALIDATION_SCORES)
    matrix = to_matrix(schema_of(rows(task, 1500, 1)), validation)
    scores = Graph(tmp_path / GRAPH).score(matrix)
    assert scores.shape == ((600, 3) if task == "multiclass" else (600,))
    assert np.array_equal(np.array(written["score"].to_list(), dtype=np.float32), scores)
    assert written["event_id"].to_list() == validation["event_id"].to_list()
    if task == "binary":
        assert ((scores >= 0) & (scores <= 1)).all()
    if task == "multiclass":
        assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_a_single_row_scores_as_it_does_among_others(tmp_path: Path) -> None:
    trained(use_case_of("binary", "network"), tmp_path)
    matrix = to_matrix(schema_of(rows("binary", 1500, 1)), rows("binary", 50, 5))
    graph = Graph(tmp_path / GRAPH)
    single = np.concatenate([graph.score(matrix[i : i + 1]) for i in range(len(matrix))])
    assert np.allclose(single, graph.score(matrix), atol=1e-6)


def test_train_rows_are_named_by_their_hashes(tmp_path: Path) -> None:
    trained(use_case_of("binary", "constant"), tmp_path)
    ids = rows("binary", 1500, 1)["event_id"].to_list()
    assert np.array_equal(np.load(tmp_path / TRAIN_ROWS, allow_pickle=False), row_hashes(ids))


def test_the_seed_decides_the_network(tmp_path: Path) -> None:
    use_case = use_case_of("binary", "network")
    trained(use_case, tmp_path / "a")
    trained(use_case.model_copy(update={"seed": 4}), tmp_path / "b")
    assert (tmp_path / "a" / GRAPH).read_bytes() != (tmp_path / "b" / GRAPH).read_bytes()


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    params = {**NETWORK, "max_epochs": 40, "patience": 2, "learning_rate": 0.05}
    document = trained(use_case_of("binary", "network", params), tmp_path).document
    curve = document["curves"]["validation"]
    assert document["notes"]["epoch_kept"] == int(np.argmax(curve)) + 1
    assert document["notes"]["epochs"] == document["notes"]["epoch_kept"] + 2 < 40
    assert document["metric"]["validation"] == pytest.approx(max(curve), abs=1e-3)


def test_int8_is_dropped_where_it_loses_more_than_the_settings_allow(tmp_path: Path) -> None:
    use_case = use_case_of("regression", "network")
    loss = trained(use_case, tmp_path).document["int8"]["loss"]
    for limit, kept in ((loss - 1e-9, False), (loss + 1e-9, True)):
        int8 = use_case.export.int8.model_copy(update={"max_loss": limit})
        export = use_case.export.model_copy(update={"int8": int8})
        document = trained(use_case.model_copy(update={"export": export}), tmp_path).document
        assert document["int8"]["kept"] is kept
        assert (tmp_path / INT8_GRAPH).exists() is kept


def test_a_graph_outside_the_tolerance_fails(tmp_path: Path) -> None:
    use_case = use_case_of("regression", "linear")
    export = use_case.export.model_copy(update={"tolerance": 1e-12})
    with pytest.raises(ExportError, match="differ by"):
        trained(use_case.model_copy(update={"export": export}), tmp_path)
    assert not (tmp_path / DOCUMENT).exists()


def test_empty_sides_and_a_single_class_are_told(tmp_path: Path) -> None:
    use_case = use_case_of("binary", "logistic")
    train = rows("binary", 200, 1)
    schema, candidate = schema_of(train), use_case.training.candidates[1]
    with pytest.raises(TrainingError, match="no validation rows"):
        train_candidate(candidate, use_case, schema, train, train.clear(), tmp_path)
    negative = train.filter(pl.col("label") == 0)
    with pytest.raises(TrainingError, match="1 of 2 classes"):
        train_candidate(candidate, use_case, schema, negative, train, tmp_path)
    with pytest.raises(TrainingError, match="average_precision is undefined on the"):
        train_candidate(candidate, use_case, schema, train, negative, tmp_path)


def test_scores_that_are_no_numbers_are_told() -> None:
    problem = small_problem("binary", use_case_of("binary", "network"), 50)
    with pytest.raises(TrainingError, match="it diverged"):
        problem.measure(np.full(len(problem.y_validation), np.nan))


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    use_case = use_case_of("binary", "trees")
    train = rows("binary", 500, 1)
    train_candidate(
        use_case.training.candidates[1],
        use_case,
        schema_of(train),
        train,
        train,
        tmp_path,
        progress=lambda step, done, total, note="": told.append((step, done, total, note)),
    )
    assert told[0][:3] == ("train", 1, 60)
    assert "validation" in told[-1][3]
