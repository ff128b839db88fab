"""The table on the card (or in host memory, or in parts on several cards) and the gradient of a batch drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sluice.training.group import ALONE, Group
from sluice.training.memory import Layout
from sluice.training.network import TabularNetwork


@dataclass
class Shard:
    """This process's contiguous part of the rows, all of them where it is alone, and the network that learns.

    Attributes:
        network: the network; every process of the group has the same weights.
        replica: what the forward pass goes through: the network, or its DistributedDataParallel.
        numbers, codes, target: [n, m], [n, c], [n]; on the network's device, or in host memory.
        first: position of the first row in the whole table.
        group: the processes that hold the other parts.
    """

    network: TabularNetwork
    replica: nn.Module
    numbers: Tensor
    codes: Tensor
    target: Tensor
    first: int = 0
    group: Group = ALONE

    def own(self, batch: Tensor) -> Tensor:
        """The positions of a batch that lie here, counted from the shard's first row."""
        if self.group.size == 1:
            return batch
        return batch[(batch >= self.first) & (batch < self.first + len(self.target))] - self.first

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows by position, on the network's device."""
        device = self.network.head.device
        rows = rows.to(self.target.device)
        parts = (self.numbers[rows], self.codes[rows], self.target[rows])
        numbers, codes, target = (part.to(device, non_blocking=True) for part in parts)
        return numbers, codes, target


def shard_of(
    network: TabularNetwork, table: tuple[np.ndarray, np.ndarray, np.ndarray], layout: Layout, group: Group = ALONE
) -> Shard:
    """This process's part of the table, where the layout has it: beside the network, or in host memory.

    Args:
        table: numbers, codes and target of all train rows.
    """
    size = -(-layout.rows // group.size)
    rows = slice(group.rank * size, (group.rank + 1) * size)
    numbers, codes, target = (torch.from_numpy(part[rows]) for part in table)
    home = network.head.device
    if not layout.host:
        numbers, codes, target = numbers.to(home), codes.to(home), target.to(home)
    elif home.type == "cuda":
        numbers, codes, target = numbers.pin_memory(), codes.pin_memory(), target.pin_memory()
    replica: nn.Module = network
    if group.size > 1:
        cards = [home.index] if home.type == "cuda" else None
        replica = DistributedDataParallel(network, device_ids=cards, forward_sync_buffers=False)
    return Shard(network, replica, numbers, codes, target, rows.start, group)


def gradient(
    shard: Shard, batch: Tensor, micro: int, loss: Callable[[Tensor, Tensor], Tensor], scaler: torch.amp.GradScaler
) -> Tensor:
    """Leave the gradient of the batch's mean loss in the network of every process; the mean loss, detached.

    Args:
        batch: int64 positions in the whole table, the same in every process.
        micro: rows of one forward pass in all processes together: the gradient is the same for any, but for rounding.
        loss: sum over rows of logits [members, rows, outputs] against targets [rows].
    """
    size = shard.group.size
    total = torch.zeros((), device=shard.network.head.device)
    # A process that has none of a batch's rows takes part with an empty pass: the others wait for its gradient.
    rows = shard.own(batch)
    chunks = list(pieces(rows, -(-micro // size))) or [rows]
    for i, chunk in enumerate(chunks):
        numbers, codes, target = shard.take(chunk)
        replica = shard.replica
        # Gradients are added up between the processes in the last pass, for all of them.
        later = isinstance(replica, DistributedDataParallel) and i + 1 < len(chunks)
        with cast(DistributedDataParallel, replica).no_sync() if later else nullcontext():
            with torch.autocast("cuda", dtype=torch.float16, enabled=numbers.is_cuda):
                logits: Tensor = replica(numbers, codes)
            mean = loss(logits.float(), target) / len(batch)
            # The processes' gradients are averaged, and their sum is wanted.
            scaler.scale(mean * size).backward()  # type: ignore[no-untyped-call]
        total += mean.detach()
    return shard.group.total(total)


def pieces(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Consecutive parts of at most `size` rows."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
