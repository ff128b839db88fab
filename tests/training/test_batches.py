"""However a batch's rows are laid out, its gradient is the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sluice.training.batches import gradient, shard_of
from sluice.training.group import Group
from sluice.training.memory import Layout
from sluice.training.network import TabularNetwork, quantile_bins
from sluice.training.network_fit import loss_of
from sluice.training.parameters import NetworkParams
from sluice.training.shape import NetworkShape
from training.small import NETWORK, small_problem, use_case_of

ROWS = 200
TARGETS = {"binary": 1, "multiclass": 3, "regression": 1}


def network_of(outputs: int) -> tuple[TabularNetwork, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(ROWS, 5)).astype(np.float32)
    codes = draw.integers(0, 4, size=(ROWS, 2))
    shape = NetworkShape(5, 3, (4, 4), 3, 12, 2, 3, outputs)
    torch.manual_seed(0)
    network = TabularNetwork(shape, 0.0, *quantile_bins(numbers, 3))
    target = draw.integers(0, 2, ROWS) if outputs > 1 else draw.random(ROWS).astype(np.float32)
    return network, (numbers, codes, target)


def gradients(task: str, *, micro: int, host: bool = False) -> list[Tensor]:
    network, table = network_of(TARGETS[task])
    shard = shard_of(network, table, Layout(network.shape, ROWS, 64, micro, host=host))
    loss = loss_of(small_problem(task, use_case_of(task, "network"), 50), NetworkParams(**NETWORK))
    batch = torch.randperm(ROWS, generator=torch.Generator().manual_seed(1))[:64]
    gradient(shard, batch, micro, loss, torch.amp.GradScaler("cuda", enabled=False))
    return [p.grad for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize(
    "layout",
    [{"micro": 7}, {"micro": 64, "host": True}],
    ids=["accumulated", "host"],
)
def test_gradients_do_not_depend_on_the_layout(task: str, layout: dict[str, int]) -> None:
    whole = gradients(task, micro=64)
    laid_out = gradients(task, **layout)  # type: ignore[arg-type]
    assert len(whole) == len(laid_out)
    for one, other in zip(whole, laid_out, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_shards_hold_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.training.batches.DistributedDataParallel", lambda network, **_: network)
    network, table = network_of(1)
    layout = Layout(network.shape, ROWS, 64, 64, cards=3)
    shards = [shard_of(network, table, layout, Group(rank, 3)) for rank in range(3)]
    assert torch.equal(torch.cat([s.target for s in shards]), torch.from_numpy(table[2]))
    batch = torch.arange(ROWS)
    assert torch.equal(torch.cat([s.own(batch) + s.first for s in shards]), batch)


def test_the_count_of_parameters_is_the_network_s() -> None:
    for members, bins, categories in ((1, 0, ()), (4, 6, (5, 9)), (1, 3, (2,))):
        shape = NetworkShape(5, bins, categories, 3, 12, 2, members, 2)
        network = TabularNetwork(shape, 0.1, *quantile_bins(np.zeros((4, 5), dtype=np.float32), bins))
        assert shape.parameters == sum(p.numel() for p in network.parameters())


def test_bins_cover_the_numbers_and_few_values_have_few() -> None:
    numbers = np.stack([np.linspace(0, 1, 100), np.repeat([0.0, 1.0], 50)], axis=1).astype(np.float32)
    lower, inverse = quantile_bins(numbers, 4)
    assert np.allclose(lower[0], [0, 0.25, 0.5, 0.75], atol=0.01)
    assert (inverse[1] > 0).sum() <= 3
    encoded = np.clip((numbers[:, :, None] - lower) * inverse, 0, 1)
    assert (np.diff(encoded[:, 0].sum(axis=1)) >= 0).all()
