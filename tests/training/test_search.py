"""The search: fixed parameters first, the same trials for the same seed, the best on validation wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import MemoryPlanError
from sluice.settings import parse_sections, sections_document
from sluice.settings.training import Candidate
from sluice.training import train_candidate
from sluice.training.files import DOCUMENT, GRAPH, merge_tasks
from sluice.training.problem import Fit
from sluice.training.search import Chosen, search
from sluice_components.candidates import candidates
from training.small import TREES, rows, schema_of, use_case_of

RANGES = {"x": {"type": "float", "low": -2.0, "high": 2.0}}


def found(
    trials: int = 12, seed: int = 1, timeout: float | None = None, clock: Any = None, fail: bool = False, **shared: int
) -> Chosen:
    candidate = Candidate.model_validate(
        {
            "id": "it",
            "kind": "import",
            "import": "a:B",
            "params": {"x": 1.5, "other": 1},
            "search": {"trials": trials, "timeout_seconds": timeout, "ranges": RANGES, **shared},
        }
    )

    def train(params: dict[str, Any]) -> tuple[Fit, float]:
        if fail and params["x"] != 1.5:
            raise MemoryPlanError("too large\n  - ways")
        return Fit(params), (params["x"] - 0.5) ** 2  # type: ignore[arg-type]

    return search(
        candidate,
        train,
        better=lambda value, than: than is None or value < than,
        higher=False,
        seed=seed,
        **({"clock": clock} if clock else {}),
    )


def test_the_fixed_parameters_are_the_first_trial_and_the_best_wins() -> None:
    chosen = found()
    assert chosen.trials is not None
    assert chosen.trials[0] == {"number": 0, "params": {"x": 1.5}, "validation": 1.0}
    best = min(trial["validation"] for trial in chosen.trials)
    assert len(chosen.trials) == 12
    assert best < 0.5
    assert (chosen.params["x"] - 0.5) ** 2 == best
    assert chosen.params["other"] == 1
    assert chosen.fit.model == chosen.params


def test_the_seed_decides_the_trials() -> None:
    assert found().trials == found().trials
    assert found().trials != found(seed=2).trials


def test_a_timeout_ends_after_the_trial_that_it_meets() -> None:
    ticks = iter(range(100))
    chosen = found(timeout=2.5, clock=lambda: float(next(ticks)))
    assert chosen.trials is not None
    assert len(chosen.trials) == 3


def test_a_trial_that_does_not_fit_the_card_is_told_and_left() -> None:
    chosen = found(trials=3, fail=True)
    assert chosen.trials is not None
    assert [trial.get("failed") for trial in chosen.trials] == [None, "too large", "too large"]
    assert chosen.params["x"] == 1.5


def test_a_searched_candidate_is_the_same_in_two_folders(tmp_path: Any) -> None:
    ranges = {
        "max_depth": {"type": "int", "low": 1, "high": 4},
        "subsample": {"type": "float", "low": 0.5, "high": 1.0},
    }
    params = {**TREES, "subsample": 1.0}
    use_case = use_case_of("binary", "trees", params, search={"trials": 4, "ranges": ranges})
    train, validation = rows("binary", 1000, 1), rows("binary", 400, 2)
    documents = []
    for name in ("a", "b"):
        trained = train_candidate(
            use_case.training.candidates[1], use_case, schema_of(train), train, validation, tmp_path / name
        )
        documents.append({k: v for k, v in trained.document.items() if k != "run"})
    assert documents[0] == documents[1]
    assert documents[0]["metric"]["validation"] >= max(t["validation"] for t in documents[0]["search"]) - 1e-6
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_trials_drawn_by_number_are_the_same_in_any_number_of_tasks(tasks: int) -> None:
    alone = found(tasks=7)
    shares = [found(tasks=tasks, task=task) for task in range(tasks)]
    trials = sorted((trial for share in shares for trial in share.trials or ()), key=lambda trial: trial["number"])
    assert trials == alone.trials
    assert len({trial["params"]["x"] for trial in trials}) == 12
    assert trials[0]["params"] == {"x": 1.5}
    best = min(trials, key=lambda trial: (trial["validation"], trial["number"]))
    assert alone.params["x"] == best["params"]["x"]
    assert found(tasks=7, seed=2).trials != alone.trials


def test_a_task_whose_trials_all_fail_is_left_to_the_others() -> None:
    share = found(trials=4, fail=True, tasks=2, task=1)
    assert share.fit is None
    assert share.trials is not None
    assert [(trial["number"], trial["failed"]) for trial in share.trials] == [(1, "too large"), (3, "too large")]


def test_the_candidate_of_three_tasks_is_that_of_one(tmp_path: Path) -> None:
    """As the pipeline does it: an item a task, a folder a task, merged where the challenger is chosen."""
    ranges = {
        "max_depth": {"type": "int", "low": 1, "high": 4},
        "subsample": {"type": "float", "low": 0.5, "high": 1.0},
    }
    made: dict[int, Path] = {}
    for tasks in (1, 3):
        search = {"trials": 5, "ranges": ranges, "tasks": tasks}
        use_case = use_case_of("binary", "trees", {**TREES, "subsample": 1.0}, search=search)
        sections = sections_document(use_case, ("name", "task", "seed", "data", "features", "training", "export"))
        sections |= sections_document(use_case, ("evaluation",))
        items = [i for i in candidates.python_func(settings=json.dumps(sections), code="") if i["id"] == "it"]
        assert len(items) == tasks
        records = []
        for number, item in enumerate(items):
            own, folder = parse_sections(json.loads(item["settings"])), tmp_path / f"{tasks}-{number}"
            train, validation = rows("binary", 1000, 1), rows("binary", 400, 2)
            trained = train_candidate(own.training.candidates[0], own, schema_of(train), train, validation, folder)
            records.append((folder, trained.document))
        made[tasks] = tmp_path / f"merged-{tasks}"
        merge_tasks(records, True, made[tasks])
    documents = [json.loads((made[tasks] / DOCUMENT).read_text()) for tasks in (1, 3)]
    assert {**documents[0], "run": 0} == {**documents[1], "run": 0}
    assert len(documents[0]["search"]) == 5
    assert (made[1] / GRAPH).read_bytes() == (made[3] / GRAPH).read_bytes()
