"""Train the network: prepare the table, plan its memory, run the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sluice.errors import MoreProcessesError
from sluice.training.batches import shard_of
from sluice.training.card import check_room, device_of, run_facts, told_when_full
from sluice.training.loop import Loop, repeatable
from sluice.training.memory import Layout, lay_out
from sluice.training.network import TabularNetwork, quantile_bins
from sluice.training.network_model import SCORE_ROWS, NetworkModel, Preparation, predict
from sluice.training.parameters import NetworkParams
from sluice.training.preprocessing import Categories, fit_numbers
from sluice.training.problem import Fit, Problem
from sluice.training.shape import NetworkShape


def fit_network(problem: Problem, params: NetworkParams) -> Fit:
    """Train until the validation metric has not improved for `patience` epochs; the best epoch's weights are kept.

    Raises:
        MemoryPlanError: it would not fit the card.
        MoreProcessesError: it takes several cards, and this process is alone.
        TrainingError: `device: cuda` without such a card, or one that is not free.
    """
    device = device_of(problem)
    preparation = Preparation(
        fit_numbers(problem.schema, problem.x, log=params.log, indicators=params.indicators, clip=params.clip),
        Categories.of(problem.schema),
    )
    numbers, codes = preparation.apply(problem.x)
    shift, spread, target = _target(problem)
    layout, plan = _laid_out(problem, params, numbers, device, preparation.categories)
    planned: int = plan["bytes"]["total"]
    check_room(device, planned)
    with repeatable(problem.seed, problem.threads, device), told_when_full(planned):
        network = TabularNetwork(layout.shape, params.dropout, *quantile_bins(numbers, params.bins))
        _start_at_base_rate(network, problem)
        network.to(device)
        where = (problem.x.shape[1], problem.opset, problem.threads)
        model = NetworkModel(problem.task, preparation, network, shift, spread, *where)
        shard = shard_of(network, (numbers, codes, target), layout, problem.group)
        measure, loss = _measure(problem, model, layout), loss_of(problem, params)
        loop = Loop(problem, params, shard, loss, measure, rows=layout.rows, micro=layout.micro)
        loop.run(problem.checkpoints)
        run = run_facts(device)
    network.cpu()
    course = loop.course
    notes = {"epochs": course.epoch, "epoch_kept": course.best_epoch, "parameters": layout.shape.parameters}
    return Fit(model, course.curves, notes, rows_seen=loop.epochs_run * layout.rows, plan=plan, run=run)


def _laid_out(
    problem: Problem, params: NetworkParams, numbers: np.ndarray, device: torch.device, categories: Categories
) -> tuple[Layout, dict[str, Any]]:
    outputs = problem.classes if problem.task == "multiclass" else 1
    shape = NetworkShape.of(params, numbers.shape[1], tuple(categories.sizes.tolist()), outputs)
    batch = min(params.batch_size, len(numbers))
    group = problem.group
    cards = torch.cuda.device_count() if device.type == "cuda" and group.size == 1 else 0
    wanted = Layout(shape, len(numbers), batch, batch, cards=group.size)
    chosen: dict[str, Any] = {}

    def choose() -> str | None:
        chosen["layout"], chosen["document"] = lay_out(wanted, problem.memory, cards, problem.ask)
        way: str | None = chosen["document"]["way"]
        return way

    # One process asks; the others take the same way.
    way = group.agree(choose)
    if not chosen:
        taken = problem.memory.model_copy(update={"over_budget": way or "ask"})
        chosen["layout"], chosen["document"] = lay_out(wanted, taken, cards, None)
    layout: Layout = chosen["layout"]
    if layout.cards > group.size:
        raise MoreProcessesError(layout.cards)
    return layout, chosen["document"]


def _target(problem: Problem) -> tuple[float, float, np.ndarray]:
    """Shift, spread and the target that is learnt: a regression's label standardised, a class as it is."""
    if problem.task == "multiclass":
        return 0.0, 1.0, problem.y.astype(np.int64)
    if problem.task == "binary":
        return 0.0, 1.0, problem.y.astype(np.float32)
    shift, spread = float(problem.y.mean()), float(problem.y.std()) or 1.0
    return shift, spread, ((problem.y - shift) / spread).astype(np.float32)


def _start_at_base_rate(network: TabularNetwork, problem: Problem) -> None:
    """A rare class is where the network starts, not what its first epochs are spent on."""
    if problem.task == "regression":
        return
    counts = np.bincount(problem.y.astype(np.int64), minlength=problem.classes) + 0.5
    logits = np.log(counts / counts.sum())
    start = logits if problem.task == "multiclass" else logits[1:] - logits[:1]
    with torch.no_grad():
        network.bias.add_(torch.from_numpy(start.astype(np.float32)))


def loss_of(problem: Problem, params: NetworkParams) -> Callable[[Tensor, Tensor], Tensor]:
    """Sum over rows of the mean over members."""
    weight = torch.tensor(params.positive_weight)

    def binary(logits: Tensor, target: Tensor) -> Tensor:
        members = len(logits)
        wanted = target.expand(members, -1)
        scale = weight.to(logits.device)
        losses = functional.binary_cross_entropy_with_logits(logits[..., 0], wanted, pos_weight=scale, reduction="sum")
        return losses / members

    def multiclass(logits: Tensor, target: Tensor) -> Tensor:
        wanted = target.expand(len(logits), -1).flatten()
        return functional.cross_entropy(logits.flatten(0, 1), wanted, reduction="sum") / len(logits)

    def regression(logits: Tensor, target: Tensor) -> Tensor:
        distance = functional.l1_loss if problem.absolute else functional.mse_loss
        return distance(logits[..., 0], target.expand(len(logits), -1), reduction="sum") / len(logits)

    return {"binary": binary, "multiclass": multiclass, "regression": regression}[problem.task]


def _measure(problem: Problem, model: NetworkModel, layout: Layout) -> Callable[[TabularNetwork], float]:
    numbers, codes = (torch.from_numpy(part) for part in model.preparation.apply(problem.x_validation))

    # No more at once than a training pass has, whose activations are planned.
    rows = min(SCORE_ROWS, -(-layout.micro // layout.cards))

    def measure(network: TabularNetwork) -> float:
        return problem.measure(model.scale(predict(network, problem.task, numbers, codes, rows)))

    return measure
