"""On a card: half precision learns as well, runs repeat bit for bit, and no more memory is held than was planned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch

from sluice.errors import MemoryPlanError, TrainingError
from sluice.settings.operation import Storage
from sluice.steps import silent
from sluice.storage import open_store
from sluice.training import trees_card
from sluice.training.checkpoints import Checkpoints
from sluice.training.memory import WORKSPACE
from sluice.training.network_fit import fit_network
from sluice.training.parameters import NetworkParams, TreesParams
from sluice.training.problem import Fit, Problem
from sluice.training.trees import fit_trees
from training.small import NETWORK, TREES, small_problem, use_case_of

HERE = torch.cuda.is_available()
pytestmark = pytest.mark.skipif(not HERE, reason="NO CUDA HERE: nothing of training on a card is tested")
BATCH = 8192
WIDE: dict[str, Any] = {**NETWORK, "width": 512, "blocks": 2, "members": 8, "batch_size": BATCH, "max_epochs": 2}
CARD = 11 * 10**9
"""Bytes of an RTX 2080 Ti."""


@pytest.fixture(autouse=True)
def _cap() -> Iterator[None]:
    """Every test has the memory of the pool's cards, whatever card this is."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    capped(CARD)
    yield
    capped(None)


def capped(size: int | None) -> None:
    """Let torch hold at most so many bytes of the card; None: all."""
    torch.cuda.empty_cache()
    whole = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(1.0 if size is None else min(size / whole, 1.0))


def problem_of(params: dict[str, Any], count: int = 6000, **memory: Any) -> Problem:
    use_case = use_case_of("binary", "network", params, training={"memory": {"card": "11GB", **memory}})
    return replace(small_problem("binary", use_case, count), device="cuda")


def fitted(problem: Problem, params: dict[str, Any]) -> Fit:
    return fit_network(problem, NetworkParams.model_validate(params))


def trees_problem(task: str, params: dict[str, Any], count: int = 6000, **memory: Any) -> Problem:
    use_case = use_case_of(task, "trees", params, training={"memory": {"card": "11GB", **memory}})
    return replace(small_problem(task, use_case, count), device="cuda")


def grown(problem: Problem, params: dict[str, Any]) -> Fit:
    return fit_trees(problem, TreesParams.model_validate(params))


def test_half_precision_learns_what_single_precision_does() -> None:
    params = {**NETWORK, "width": 64, "max_epochs": 15, "patience": 15}
    problem = problem_of(params)
    card, host = fitted(problem, params), fitted(replace(problem, device="cpu"), params)
    assert card.run["device"] == torch.cuda.get_device_name()
    best = [max(fit.curves["validation"]) for fit in (card, host)]
    assert best[0] > 0.7
    assert best[0] == pytest.approx(best[1], abs=0.01)


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (fitted(problem_of(NETWORK), NETWORK) for _ in range(2))
    assert first.curves == second.curves
    assert first.model.to_onnx() == second.model.to_onnx()


class _CutOffError(Exception):
    pass


def test_a_training_that_was_cut_off_ends_with_the_same_bytes(tmp_path: Path) -> None:
    params = {**NETWORK, "max_epochs": 8, "patience": 8}
    whole = fitted(problem_of(params), params)

    def cut(step: str, done: int, total: int, note: str = "") -> None:
        if done == 4:
            raise _CutOffError

    store = open_store(Storage(url=str(tmp_path)))
    kept = Checkpoints(store, "it")
    with pytest.raises(_CutOffError):
        fitted(replace(problem_of(params), checkpoints=kept, progress=cut), params)
    again: list[int] = []
    problem = replace(problem_of(params), checkpoints=kept, progress=lambda *told: again.append(told[1]))
    assert fitted(problem, params).model.to_onnx() == whole.model.to_onnx()
    assert again[0] > 1, "it went on, it did not start anew"


@pytest.mark.parametrize("params", [NETWORK, WIDE, {**WIDE, "members": 1, "width": 1024}], ids=["small", "wide", "one"])
def test_what_is_held_stays_below_the_plan(params: dict[str, Any]) -> None:
    """Not what tensors take alone, but what torch holds of the card for them."""
    problem = problem_of({**params, "batch_size": BATCH}, 20_000)
    fit = fitted(problem, {**params, "batch_size": BATCH})
    assert fit.plan is not None
    assert fit.run["held_bytes"] <= fit.plan["bytes"]["total"] <= 3 * fit.run["peak_bytes"] + WORKSPACE


@pytest.mark.parametrize("way", ["accumulate", "host"])
def test_a_smaller_card_is_enough_in_the_way_that_was_chosen(way: str) -> None:
    """The card is cut down to what the plan was given; as the settings have it the training does not fit there."""
    params = {**WIDE, "batch_size": 512 if way == "host" else BATCH, "members": 1}
    rows = 400_000 if way == "host" else 20_000
    problem = problem_of(params, rows)
    planned = fitted(problem, params).plan
    assert planned is not None
    parts = planned["bytes"]
    saved = parts["resident"] if way == "host" else parts["activations"]
    budget = parts["total"] - saved // 2
    tight = problem_of(params, rows, card=budget, reserve=0.0, over_budget=way)
    capped(budget)
    fit = fitted(tight, params)
    assert fit.plan is not None and fit.plan["way"] == way
    assert fit.run["held_bytes"] <= budget


def test_a_card_that_is_taken_meanwhile_is_told_without_a_traceback() -> None:
    capped(200 * 2**20)
    with pytest.raises(TrainingError, match="ran out of memory; the plan was") as told:
        fitted(problem_of(WIDE, 20_000), WIDE)
    assert "nvidia-smi" in told.value.hint


def test_a_card_that_is_not_free_is_told_before_training_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (10**8, 11 * 10**9))
    with pytest.raises(TrainingError, match=r"free, and training takes") as told:
        fitted(replace(problem_of(WIDE, 20_000), progress=silent), WIDE)
    assert "training.memory.card" in told.value.hint


def test_more_processes_than_cards_are_refused() -> None:
    problem = problem_of(NETWORK)
    last = replace(problem.group, rank=7, size=8, local=torch.cuda.device_count())
    with pytest.raises(TrainingError, match="has no card of its own"):
        fitted(replace(problem, group=last), NETWORK)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_trees_learn_on_a_card_what_they_learn_on_the_processor(task: str) -> None:
    problem = trees_problem(task, TREES)
    card, host = grown(problem, TREES), grown(replace(problem, device="cpu"), TREES)
    assert card.run["device"] == torch.cuda.get_device_name()
    best = [(max if problem.higher else min)(fit.curves["validation"]) for fit in (card, host)]
    assert best[0] == pytest.approx(best[1], rel=0.02)
    assert problem.measure(card.model.score(problem.x_validation)) == pytest.approx(best[0], rel=1e-4)


def test_trees_grow_alike_from_the_same_seed() -> None:
    first, second = (grown(trees_problem("binary", {**TREES, "subsample": 0.7}), TREES) for _ in range(2))
    assert first.curves == second.curves
    assert first.model.to_onnx() == second.model.to_onnx()


@pytest.mark.parametrize(
    ("rows", "changes"),
    [
        (10_000, {}),
        (2_000_000, {}),
        (2_000_000, {"max_depth": 12, "rounds": 4}),
        (500_000, {"max_bin": 1024}),
        (500_000, {"method": "approx"}),
    ],
)
def test_trees_take_no_more_of_a_card_than_was_planned(rows: int, changes: dict[str, Any]) -> None:
    params = {**TREES, "rounds": 8, **changes}
    small = trees_problem("binary", params, 4000)
    times = -(-rows // len(small.y))
    problem = replace(small, x=np.tile(small.x, (times, 1)), y=np.tile(small.y, times))
    torch.cuda.init()
    with _Lowest() as lowest:
        fit = grown(problem, params)
    assert fit.plan is not None
    assert 0 < lowest.taken <= fit.plan["bytes"]["total"]


class _Lowest:
    """How much of the card was taken at most while it looked."""

    def __enter__(self) -> _Lowest:
        torch.cuda.empty_cache()
        self._free = torch.cuda.mem_get_info()[0]
        self.taken, self._ended = 0, Event()
        self._looking = Thread(target=self._look)
        self._looking.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.0005):
            self.taken = max(self.taken, self._free - torch.cuda.mem_get_info()[0])

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._looking.join()


def test_trees_above_the_settings_are_refused_with_what_to_lower() -> None:
    params = {**TREES, "max_depth": 20, "max_bin": 4096}
    with pytest.raises(MemoryPlanError, match="histograms") as told:
        grown(trees_problem("binary", params, card="1GB"), params)
    assert "max_depth" in told.value.hint


def test_trees_on_a_card_that_fills_up_are_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    capped(None)
    monkeypatch.setattr(trees_card, "check_room", lambda *_: None)
    small = trees_problem("binary", TREES, 4000)
    problem = replace(small, x=np.tile(small.x, (500, 1)), y=np.tile(small.y, 500))
    torch.cuda.empty_cache()
    held = torch.empty(torch.cuda.mem_get_info()[0] - 60 * 2**20, dtype=torch.uint8, device="cuda")
    with pytest.raises(TrainingError, match="ran out of memory while trees grew") as told:
        grown(problem, TREES)
    assert held.numel() and "nvidia-smi" in told.value.hint
