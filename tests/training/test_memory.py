"""The memory plan: honest figures, and every way to scale where they exceed the card."""

from __future__ import annotations

import builtins
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sluice.errors import MemoryPlanError
from sluice.settings.training import Memory
from sluice.training import train_candidate
from sluice.training.asking import terminal_ask
from sluice.training.memory import Layout, Way, lay_out, plan_of
from sluice.training.network import TabularNetwork, quantile_bins
from sluice.training.shape import NetworkShape
from training.small import NETWORK, rows, schema_of, use_case_of

SHAPE = NetworkShape(numbers=17, bins=8, categories=(10,), embedding=8, width=256, blocks=2, members=4, outputs=1)
BIG = Layout(SHAPE, rows=2_000_000, batch=65_536, micro=65_536)
SHAPES = [
    SHAPE,
    replace(SHAPE, members=1, bins=0, categories=()),
    replace(SHAPE, blocks=4, width=64, members=8),
    replace(SHAPE, bins=32, width=32, members=1),
]


def memory(card: int, over: str = "ask") -> Memory:
    return Memory.model_validate({"card": card, "reserve": 0.0, "over_budget": over})


def budget_below(layout: Layout, share: float) -> int:
    return int(plan_of(layout).total * share)


def test_a_training_that_fits_is_left_alone() -> None:
    layout, document = lay_out(BIG, memory(plan_of(BIG).total), 1, None)
    assert layout == BIG
    assert document["way"] is None
    assert document["bytes"]["total"] == plan_of(BIG).total <= document["bytes"]["budget"]


@pytest.mark.parametrize(("way", "cards"), [("accumulate", 0), ("narrow", 0), ("gpus", 4)])
def test_each_way_leads_below_the_budget(way: str, cards: int) -> None:
    card = budget_below(BIG, 0.4)
    layout, document = lay_out(BIG, memory(card, way), cards, None)
    assert plan_of(layout).total <= card
    assert document["way"] == way
    changed = {name for name in ("shape", "micro", "host", "cards") if getattr(layout, name) != getattr(BIG, name)}
    assert changed == {{"accumulate": "micro", "narrow": "shape", "gpus": "cards"}[way]}


def test_the_table_in_host_memory_leads_below_the_budget() -> None:
    wide = replace(BIG, rows=100_000_000, batch=1024, micro=1024)
    layout, _ = lay_out(wide, memory(budget_below(wide, 0.2), "host"), 1, None)
    assert layout == replace(wide, host=True)


def test_ways_use_what_is_there() -> None:
    card = budget_below(BIG, 0.4)
    layout, _ = lay_out(BIG, memory(card, "accumulate"), 1, None)
    assert plan_of(replace(layout, micro=layout.micro + 1)).total > card


def test_without_a_person_the_ways_are_listed_with_figures() -> None:
    with pytest.raises(MemoryPlanError) as caught:
        lay_out(BIG, memory(budget_below(BIG, 0.4)), 1, None)
    text = str(caught.value)
    for name in ("accumulate", "narrow", "host", "gpus"):
        assert f"- {name}: " in text
    assert " GB" in text
    assert "training.memory.over_budget" in caught.value.hint
    assert caught.value.ways == ("accumulate", "narrow")


def test_a_way_that_does_not_lead_there_is_refused() -> None:
    with pytest.raises(MemoryPlanError, match=r"host: .*does not fit"):
        lay_out(BIG, memory(budget_below(BIG, 0.1), "host"), 1, None)
    with pytest.raises(MemoryPlanError, match="GPUs"):
        lay_out(BIG, memory(budget_below(BIG, 0.4), "gpus"), 1, None)


def test_a_person_is_shown_only_ways_that_work() -> None:
    shown: list[Way] = []

    def ask(problem: str, ways: list[Way]) -> str:
        shown.extend(ways)
        assert "of the card" in problem
        return "narrow"

    layout, document = lay_out(BIG, memory(budget_below(BIG, 0.4)), 1, ask)
    assert [way.name for way in shown] == ["accumulate", "narrow"]
    assert document["way"] == "narrow"
    assert layout.shape.width < SHAPE.width


def test_the_terminal_takes_a_number_or_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal_ask() is None
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    ask = terminal_ask()
    assert ask is not None
    answers = iter(["9", "no", "2", "accumulate"])
    monkeypatch.setattr(builtins, "input", lambda _: next(answers))
    ways = [Way("accumulate", "", BIG, plan_of(BIG)), Way("narrow", "", BIG, plan_of(BIG))]
    assert ask("too large", ways) == "narrow"
    assert ask("too large", ways) == "accumulate"


@pytest.mark.parametrize("shape", SHAPES)
def test_activations_are_what_the_backward_pass_keeps(shape: NetworkShape) -> None:
    """Counted by torch itself: the plan is above that, by the values that pass only and a little more."""
    count = 512
    torch.manual_seed(0)
    network = TabularNetwork(shape, 0.1, *quantile_bins(np.random.default_rng(0).normal(size=(99, 17)), shape.bins))
    own = {p.untyped_storage().data_ptr() for p in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    codes = torch.zeros(count, len(shape.categories), dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.randn(count, 17), codes)
    assert logits.shape == (shape.members, count, 1)
    planned = plan_of(Layout(shape, 1, count, count)).activations
    passing = 3 * count * shape.numbers * shape.bins * 4
    assert sum(kept.values()) <= planned <= 2 * sum(kept.values()) + passing


def test_accumulating_by_the_settings_trains_and_says_so(tmp_path: Path) -> None:
    params: dict[str, Any] = {**NETWORK, "dropout": 0.0, "max_epochs": 2, "batch_size": 512}
    train = rows("binary", 1500, 1)
    documents = []
    for card in ("11GB", "135MB"):
        use_case = use_case_of(
            "binary",
            "network",
            params,
            training={"memory": {"card": card, "reserve": 0.0, "over_budget": "accumulate"}},
        )
        documents.append(
            train_candidate(
                use_case.training.candidates[1], use_case, schema_of(train), train, rows("binary", 400, 2), tmp_path
            ).document
        )
    assert documents[1]["memory"]["way"] == "accumulate"
    assert documents[1]["memory"]["micro"] < 512
    assert documents[0]["metric"]["validation"] == pytest.approx(documents[1]["metric"]["validation"], abs=1e-3)
