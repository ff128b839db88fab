"""Boosted trees on a card: what they take of it at most, asked before they grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import xgboost as xgb

from sluice.errors import MemoryPlanError, TrainingError
from sluice.training.card import WHO_HOLDS_IT, check_room, device_of
from sluice.training.memory import Parts, budget_of, size_text
from sluice.training.parameters import TreesParams
from sluice.training.problem import Problem
from sluice.training.trees import Place

_ENTRY, _GRADIENT, _FLOAT = 8, 8, 4
_KEPT_NODES = 65_536
"""XGBoost keeps the histograms of so many nodes at most (max_cached_hist_node)."""
_LEAST = 96 * 2**20
"""What XGBoost's pools and the library's own kernels take for the smallest table."""


@dataclass(frozen=True)
class TreesPlan(Parts):
    """Bytes on the card, not all at the same time. `sketch` finds the bins: every value with its column, and once more
    while they are sorted."""

    sketch: int
    validation: int
    rows: int
    histograms: int
    least: int = _LEAST


def plan_of_trees(problem: Problem, params: TreesParams) -> TreesPlan:
    """Bytes at most: of the sorted values, of gradients and scores per row and class, of the histograms of a tree."""
    train, validation = len(problem.y), len(problem.y_validation)
    columns, outputs = problem.x.shape[1], max(problem.classes, 1)
    sorting = 2 if params.method == "hist" else 4  # approx finds its bins anew while the old ones are held
    nodes = min(2**params.max_depth, _KEPT_NODES, train)
    return TreesPlan(
        sketch=sorting * _ENTRY * train * columns,
        validation=_ENTRY * validation * columns,
        rows=(train + validation) * (outputs * (_GRADIENT + 2 * _FLOAT) + 8 * _FLOAT),
        histograms=2 * _GRADIENT * nodes * columns * params.max_bin,
    )


@contextmanager
def room_on_card(problem: Problem, params: TreesParams) -> Iterator[Place]:
    """The card, while trees grow there.

    Raises:
        MemoryPlanError: the plan is above what the settings allow of a card.
        TrainingError: there is no such card, or it is not free, or fills up meanwhile.
    """
    device = device_of(problem)
    plan, budget = plan_of_trees(problem, params), budget_of(problem.memory)
    if plan.total > budget:
        most, allowed = size_text(plan.total), size_text(budget)
        told = f"trees would take up to {most} of the card, {allowed} are allowed: {plan.text}"
        raise MemoryPlanError(told, "lower max_depth or max_bin, train on fewer rows, or set training.device: auto")
    torch.cuda.empty_cache()
    check_room(device, plan.total)
    try:
        yield Place(str(device), torch.cuda.get_device_name(device), {"bytes": plan.figures(budget)})
    except xgb.core.XGBoostError as error:
        if "out of memory" not in str(error) and "bad_alloc" not in str(error):
            raise
        told = f"the card ran out of memory while trees grew; the plan was {size_text(plan.total)}"
        raise TrainingError(told, WHO_HOLDS_IT) from error
