"""The card that a network trains on: which one, whether the plan has room there, and what the run took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sluice.errors import TrainingError
from sluice.training.memory import size_text
from sluice.training.problem import Problem

WHO_HOLDS_IT = (
    "`nvidia-smi` names the processes on it: end them, or lower training.memory.card so that there is a plan that fits"
)


def device_of(problem: Problem) -> torch.device:
    """Where this process trains: its own card of the machine, or the processor.

    Raises:
        TrainingError: `device: cuda` without a card, or fewer cards here than processes.
    """
    available = torch.cuda.is_available()
    if problem.device == "cuda" and not available:
        raise TrainingError("training.device is cuda, and there is no such card here", "set it to auto or cpu")
    if not available or problem.device == "cpu":
        return torch.device("cpu")
    local, cards = problem.group.local, torch.cuda.device_count()
    if local >= cards:
        hint = "lower training.distributed.processes, or set training.device: cpu"
        raise TrainingError(f"process {local + 1} of this machine has no card of its own: it has {cards}", hint)
    return torch.device("cuda", local)


def check_room(device: torch.device, planned: int) -> None:
    """Whether the card has `planned` bytes free: it may be smaller than the settings say, or not ours alone.

    Raises:
        TrainingError: it has not.
    """
    if device.type != "cuda":
        return
    free, size = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if planned > free:
        name = torch.cuda.get_device_name(device)
        told = f"{name} has {size_text(free)} of its {size_text(size)} free, and training takes {size_text(planned)}"
        raise TrainingError(told, WHO_HOLDS_IT)


@contextmanager
def told_when_full(planned: int) -> Iterator[None]:
    """A card that fills up while the plan held: somebody else came.

    Raises:
        TrainingError: in place of torch's OutOfMemoryError.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        told = f"the card ran out of memory; the plan was {size_text(planned)}: {str(error).splitlines()[0]}"
        raise TrainingError(told, WHO_HOLDS_IT) from error


def run_facts(device: torch.device) -> dict[str, Any]:
    """The device's name, and on a card the most bytes that tensors took and that were held for them."""
    if device.type != "cuda":
        return {"device": "cpu"}
    return {
        "device": torch.cuda.get_device_name(device),
        "peak_bytes": torch.cuda.max_memory_allocated(device),
        "held_bytes": torch.cuda.max_memory_reserved(device),
    }
