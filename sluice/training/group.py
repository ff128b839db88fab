"""The processes that train one network together, a card each: what they agree on and add up.

`torchrun` starts them and says in the environment who is who; so does Kubeflow's TrainJob. Nothing is pickled on the
way between them: numbers go as tensors, everything else as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.errors import MemoryPlanError, TrainingError

if TYPE_CHECKING:
    # Most processes that import this train nothing, or alone: torch takes seconds.
    from torch import Tensor


@dataclass(frozen=True)
class Group:
    """One process among those of a training.

    Attributes:
        rank: its number; 0 measures, asks, writes and tells.
        size: how many there are.
        local: its number on its machine, which is that of its card.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    def agree(self, make: Callable[[], Any]) -> Any:
        """What the first process makes of `make()` (JSON), the same in all; a TrainingError there is one everywhere."""
        if self.size == 1:
            return make()
        said: dict[str, Any] = {}
        failed: TrainingError | None = None
        if self.rank == 0:
            try:
                said = {"value": make()}
            except TrainingError as error:
                failed = error
                said = {"error": [error.message, error.hint], "ways": getattr(error, "ways", None)}
        said = json.loads(self.spread(json.dumps(said).encode()))
        if failed is not None:
            raise failed
        if "error" in said:
            kind = TrainingError if said["ways"] is None else MemoryPlanError
            raise kind(*said["error"])
        return said["value"]

    def spread(self, data: bytes) -> bytes:
        """The first process's bytes, in all."""
        if self.size == 1:
            return data
        import torch
        import torch.distributed as dist

        size = torch.tensor([len(data)])
        dist.broadcast(size, src=0)
        if not int(size):
            return b""
        held = torch.empty(int(size), dtype=torch.uint8)
        if self.rank == 0:
            held.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        dist.broadcast(held, src=0)
        return held.numpy().tobytes()

    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(value)
        return value


ALONE = Group()


@contextmanager
def joined() -> Iterator[Group]:
    """The group that the environment names (`RANK`, `WORLD_SIZE`, `LOCAL_RANK`), joined while the block lasts.

    Gloo between processors, NCCL between cards.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist

    cards = torch.cuda.is_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if cards else "gloo")
    try:
        yield Group(dist.get_rank(), size, int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        dist.destroy_process_group()
