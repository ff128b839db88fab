"""The table on the card (or cards, or in host memory) and the gradient of one batch drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sluice.training.memory import Layout
from sluice.training.network import TabularNetwork


@dataclass
class Shard:
    """A contiguous part of the rows and the network that learns from them.

    Attributes:
        network: the first shard's is trained, the others' are copies.
        numbers, codes, target: [n, m], [n, c], [n]; on the network's device, or in host memory.
        first: position of the first row in the whole table.
    """

    network: TabularNetwork
    numbers: Tensor
    codes: Tensor
    target: Tensor
    first: int = 0

    def own(self, batch: Tensor) -> Tensor:
        """The positions of a batch that lie here, counted from the shard's first row."""
        return batch[(batch >= self.first) & (batch < self.first + len(self.target))] - self.first

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows by position, on the network's device."""
        device = self.network.head.device
        rows = rows.to(self.target.device)
        parts = (self.numbers[rows], self.codes[rows], self.target[rows])
        numbers, codes, target = (part.to(device, non_blocking=True) for part in parts)
        return numbers, codes, target


def shards_of(network: TabularNetwork, table: tuple[np.ndarray, np.ndarray, np.ndarray], layout: Layout) -> list[Shard]:
    """The table where the layout has it: beside the network, in host memory, or in equal parts on several cards.

    Args:
        table: numbers, codes and target of all train rows.
    """
    numbers, codes, target = (torch.from_numpy(part) for part in table)
    home = network.head.device
    if layout.host:
        if home.type == "cuda":
            numbers, codes, target = numbers.pin_memory(), codes.pin_memory(), target.pin_memory()
        return [Shard(network, numbers, codes, target)]
    shards, size = [], -(-layout.rows // layout.cards)
    for card in range(layout.cards):
        device = torch.device(home.type, card) if layout.cards > 1 and home.type == "cuda" else home
        own = network if card == 0 else deepcopy(network).to(device)
        rows = slice(card * size, (card + 1) * size)
        parts = (numbers[rows].to(device), codes[rows].to(device), target[rows].to(device))
        shards.append(Shard(own, *parts, first=rows.start))
    return shards


def gradient(
    shards: list[Shard],
    batch: Tensor,
    micro: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    scaler: torch.amp.GradScaler,
) -> Tensor:
    """Leave the gradient of the batch's mean loss in the first shard's network; the mean loss, detached.

    Args:
        batch: int64 positions in the whole table, on the host.
        micro: rows of one forward pass: the gradient is the same for any, but for rounding.
        loss: sum over rows of logits [members, rows, outputs] against targets [rows].
    """
    master = shards[0].network
    total = torch.zeros((), device=master.head.device)
    for shard in shards:
        rows = batch if len(shards) == 1 else shard.own(batch)
        for chunk in pieces(rows, micro):
            numbers, codes, target = shard.take(chunk)
            with torch.autocast("cuda", dtype=torch.float16, enabled=numbers.is_cuda):
                logits = shard.network(numbers, codes)
            mean = loss(logits.float(), target) / len(batch)
            scaler.scale(mean).backward()  # type: ignore[no-untyped-call]
            total += mean.detach().to(total.device)
    for shard in shards[1:]:
        _move_gradient(shard.network, master)
    return total


def pieces(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Consecutive parts of at most `size` rows."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def share_weights(shards: list[Shard]) -> None:
    """Copy the first shard's weights to the others."""
    with torch.no_grad():
        for shard in shards[1:]:
            for copy, own in zip(shard.network.parameters(), shards[0].network.parameters(), strict=True):
                copy.copy_(own)


def _move_gradient(source: TabularNetwork, master: TabularNetwork) -> None:
    for part, own in zip(source.parameters(), master.parameters(), strict=True):
        if part.grad is None:
            continue
        moved = part.grad.to(own.device)
        own.grad = moved if own.grad is None else own.grad + moved
        part.grad = None
