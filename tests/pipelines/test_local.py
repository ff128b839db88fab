"""The pipeline on this machine, on a small world: decisions, reuse, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from kfp import dsl

from sluice.errors import PipelineError
from sluice.registry import RunLog, open_registry, verify, why
from sluice.settings import UseCase, read_use_case, settings_json
from sluice.simulate import World, write_raw
from sluice.storage import open_store
from sluice_components import score
from sluice_pipelines.local import LocalRun, new_run_id, run_locally

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    write_raw(World(days=62, cards=400, terminals=300), 5, folder / "raw")
    return folder


@pytest.fixture(scope="module")
def use_case(place: Path) -> UseCase:
    document: dict[str, Any] = {
        "data.source": str(place / "raw"),
        "features.repo": str(ROOT / "feature_repo"),
        "storage.url": str(place / "store"),
        "storage.keys": str(place / "keys"),
        "split.train": "28d",
        "split.test": "10d",
        "training.candidates": [
            {"id": "constant", "kind": "constant"},
            {"id": "logistic", "kind": "logistic", "params": {"C": 0.01}},
        ],
        "evaluation.bootstrap.resamples": 200,
        "gate.max_calibration_error": 0.2,
        "gate.parity_rows": 40,
    }
    return read_use_case(ROOT / "use_cases" / "fraud.yaml", document)


Run = Callable[..., tuple[LocalRun, list[str]]]


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    def start(use_case: UseCase, **given: Any) -> tuple[LocalRun, list[str]]:
        lines: list[dict[str, Any]] = []
        finished = run_locally(use_case, run_id=new_run_id(), work=place / "work", listen=lines.append, **given)
        return finished, [line["step"] for line in lines if line["kind"] == "finished"]

    return start


@pytest.fixture(scope="module")
def first(run: Run, use_case: UseCase) -> tuple[LocalRun, list[str]]:
    return run(use_case)


def test_raw_events_become_a_champion_with_its_papers(first: tuple[LocalRun, list[str]], use_case: UseCase) -> None:
    finished, steps = first
    assert finished.decision == "promoted"
    assert {"plan", "ingest", "features", "split", "train constant", "train logistic", "select", "gate"} <= set(steps)
    assert finished.report.read_text().lstrip().startswith("<!doctype html>")
    assert finished.version[:12] in finished.card.read_text()
    registry = open_registry(use_case, clock=_never, actor="test")
    champion = registry.champion()
    assert champion is not None and champion.digest == finished.version
    assert "is live" in why(registry)["text"]
    assert verify(registry.store, registry.keys).sound


def test_the_same_again_reuses_its_steps_and_is_refused_as_the_champion_itself(
    first: tuple[LocalRun, list[str]], run: Run, use_case: UseCase
) -> None:
    again, steps = run(use_case)
    assert set(steps) == {"plan", "materialise", "gate"}
    assert again.decision == "refused"
    assert again.version == first[0].version
    assert "byte for byte" in json.loads((again.folder / "decision.json").read_text())["reason"]


def test_from_the_start_in_another_folder_gives_the_same_version(
    first: tuple[LocalRun, list[str]], use_case: UseCase, tmp_path: Path
) -> None:
    elsewhere = use_case.storage.model_copy(update={"url": str(tmp_path / "store"), "keys": str(tmp_path / "keys")})
    finished = run_locally(
        use_case.model_copy(update={"storage": elsewhere}), run_id="elsewhere", work=tmp_path / "work"
    )
    assert finished.version == first[0].version


def test_a_policy_that_changed_trains_nothing_anew(
    first: tuple[LocalRun, list[str]], run: Run, use_case: UseCase
) -> None:
    gate = use_case.gate.model_copy(update={"parity_rows": 20})
    _, steps = run(use_case.model_copy(update={"gate": gate}))
    assert set(steps) == {"plan", "materialise", "gate"}


def test_a_failing_step_fails_the_run_with_its_own_message_and_registers_nothing(
    first: tuple[LocalRun, list[str]], run: Run, use_case: UseCase, tmp_path: Path, place: Path
) -> None:
    raw = pl.concat(pl.read_parquet(file) for file in sorted((place / "raw").glob("*.parquet")))
    (tmp_path / "raw").mkdir()
    raw.drop("amount").write_parquet(tmp_path / "raw" / "part.parquet")
    data = use_case.data.model_copy(update={"source": str(tmp_path / "raw")})
    before = open_registry(use_case, clock=_never, actor="test").log()
    with pytest.raises(PipelineError, match=r"step ingest: .*no column 'amount'"):
        run(use_case.model_copy(update={"data": data}))
    assert open_registry(use_case, clock=_never, actor="test").log() == before
    newest = RunLog(open_store(use_case.storage), use_case.name, clock=_never).list()[0]
    assert newest.status == "failed" and "amount" in newest.message


def test_a_store_that_cannot_be_opened_fails_the_run_as_the_step_that_needed_it(
    use_case: UseCase, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    storage = use_case.storage.model_copy(update={"url": str(tmp_path / "file" / "store")})
    with pytest.raises(PipelineError, match=r"step plan: .*cannot be made"):
        run(use_case.model_copy(update={"storage": storage}))


def _never() -> Any:
    raise AssertionError("nothing is written here")


def test_the_scoring_step_gives_a_row_for_every_row(
    first: tuple[LocalRun, list[str]], use_case: UseCase, place: Path, tmp_path: Path
) -> None:
    raw = pl.concat(pl.read_parquet(file) for file in sorted((place / "raw").glob("*.parquet")))
    raw.tail(300).write_parquet(tmp_path / "today.parquet")
    scores, metrics = dsl.Dataset(uri=str(tmp_path / "out" / "scores")), dsl.Metrics()
    score.score.python_func(
        settings=settings_json(use_case),
        source=str(tmp_path / "today.parquet"),
        history="",
        scores=scores,
        metrics=metrics,
    )
    found = pl.read_parquet(tmp_path / "out" / "scores")
    assert found.get_column("event_id").to_list() == raw.tail(300).get_column("transaction_id").cast(str).to_list()
    assert found.get_column("score").is_between(0, 1).all()
    assert scores.metadata["version"] == first[0].version
