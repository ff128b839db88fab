"""The search: fixed parameters first, the same trials for the same seed, the best on validation wins."""

from __future__ import annotations

from typing import Any

from sluice.errors import MemoryPlanError
from sluice.settings.training import Candidate
from sluice.training import train_candidate
from sluice.training.problem import Fit
from sluice.training.search import Chosen, search
from training.small import TREES, rows, schema_of, use_case_of

RANGES = {"x": {"type": "float", "low": -2.0, "high": 2.0}}


def found(
    trials: int = 12, seed: int = 1, timeout: float | None = None, clock: Any = None, fail: bool = False
) -> Chosen:
    candidate = Candidate.model_validate(
        {
            "id": "it",
            "kind": "import",
            "import": "a:B",
            "params": {"x": 1.5, "other": 1},
            "search": {"trials": trials, "timeout_seconds": timeout, "ranges": RANGES},
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
