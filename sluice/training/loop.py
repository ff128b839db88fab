"""The network's training loop: seeded, resumable after every epoch, on one device or several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sluice import digests
from sluice.training.batches import Shard, gradient, pieces
from sluice.training.checkpoints import Checkpoints, State
from sluice.training.network import TabularNetwork
from sluice.training.network_model import fixed_threads
from sluice.training.parameters import NetworkParams
from sluice.training.problem import Problem

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Course:
    """What a training has reached; all of it is in a checkpoint."""

    epoch: int = 0
    best_epoch: int = 0
    best: float | None = None
    curves: dict[str, list[float]] = field(default_factory=lambda: {"train_loss": [], "validation": []})


class Loop:
    """Trains the shard's network, together with the other processes of its group.

    Args:
        rows: train rows in all processes.
        micro: rows of one forward pass; a batch's gradient is the sum over its passes.
        measure: the validation metric of a network.
    """

    def __init__(
        self,
        problem: Problem,
        params: NetworkParams,
        shard: Shard,
        loss: Loss,
        measure: Callable[[TabularNetwork], float],
        *,
        rows: int,
        micro: int,
    ) -> None:
        self._problem, self._params, self._shard, self._loss, self._measure = problem, params, shard, loss, measure
        self._rows, self._micro = rows, micro
        self.network, self._group = shard.network, shard.group
        self.course = Course()
        self.epochs_run = 0
        on_card = self.device.type == "cuda"
        groups = _groups(self.network, params.weight_decay)
        # Fused, it also spares the wait for the scaler's word on each batch.
        self._optimizer = torch.optim.AdamW(groups, lr=params.learning_rate, fused=on_card)
        self._scaler = torch.amp.GradScaler("cuda", enabled=on_card)
        self._batches = torch.Generator().manual_seed(problem.seed)
        self._average = _copy(self.network)
        self._best = _copy(self.network)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.head.device

    def run(self, checkpoints: Checkpoints | None) -> None:
        """Epochs until patience ends; the network then holds its best weights."""
        state = self._group.spread(self._latest(checkpoints))
        if state:
            self._restore(State.from_bytes(state))
        while not self._finished():
            self._epoch()
            if checkpoints is not None and self._group.rank == 0:
                checkpoints.save(self.course.epoch, self._state())
        self.network.load_state_dict(self._best)

    def _latest(self, checkpoints: Checkpoints | None) -> bytes:
        """The first process reads: another one's might see a later state."""
        state = checkpoints.latest() if checkpoints is not None and self._group.rank == 0 else None
        return state.to_bytes() if state is not None else b""

    def _finished(self) -> bool:
        course, params = self.course, self._params
        return course.epoch >= params.max_epochs or course.epoch - course.best_epoch >= params.patience

    def _epoch(self) -> None:
        self.network.train()
        if self._group.rank:
            # What is dropped here follows from seed, epoch and rank: a checkpoint holds the first process's state.
            torch.manual_seed(digests.seed_of(self._problem.seed, self.course.epoch, self._group.rank))
        started = time.perf_counter()
        order = torch.randperm(self._rows, generator=self._batches)
        if self._group.size == 1:
            order = order.to(self._shard.target.device)
        total = torch.zeros((), device=self.device)
        for batch in pieces(order, self._params.batch_size):
            total += gradient(self._shard, batch, self._micro, self._loss, self._scaler) * len(batch)
            self._step()
        trained = float(total)
        speed = self._rows / (time.perf_counter() - started)
        course = self.course
        course.epoch += 1
        self.epochs_run += 1
        value: float = self._group.agree(self._validate)
        course.curves["train_loss"].append(trained / self._rows)
        course.curves["validation"].append(value)
        if self._problem.better(value, course.best):
            course.best, course.best_epoch = value, course.epoch
            self._best = _copy(self.network, self._average if self._params.averaging else None)
        self._problem.progress(
            "train", course.epoch, self._params.max_epochs, f"validation {value:.4f}, {speed:,.0f} rows/s"
        )

    def _step(self) -> None:
        if self._params.clip_gradient is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self._params.clip_gradient)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        if self._params.averaging:
            named = dict(self.network.named_parameters())
            average = get_ema_multi_avg_fn(self._params.averaging)  # type: ignore[no-untyped-call]
            average([self._average[name] for name in named], list(named.values()), 0)

    def _validate(self) -> float:
        if not self._params.averaging:
            return self._measure(self.network)
        own = _copy(self.network)
        self.network.load_state_dict(self._average)
        value = self._measure(self.network)
        self.network.load_state_dict(own)
        return value

    def _state(self) -> State:
        arrays = {f"network/{n}": v for n, v in self.network.state_dict().items()}
        arrays |= {f"best/{n}": v for n, v in self._best.items()}
        arrays |= {f"average/{n}": v for n, v in self._average.items()}
        for i, slots in self._optimizer.state_dict()["state"].items():
            arrays |= {f"optimizer/{i}/{n}": v for n, v in slots.items()}
        arrays |= {"random/batches": self._batches.get_state(), "random/cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            arrays["random/cuda"] = torch.cuda.get_rng_state(self.device)
        course = self.course
        document: dict[str, Any] = {"format": 1, "course": vars(course), "scaler": self._scaler.state_dict()}
        return State({name: value.detach().cpu().numpy() for name, value in arrays.items()}, document)

    def _restore(self, state: State) -> None:
        arrays = {name: torch.from_numpy(value) for name, value in state.arrays.items()}
        self.network.load_state_dict(_under(arrays, "network/"))
        self._best = _copy(self.network, _under(arrays, "best/"))
        self._average = _copy(self.network, _under(arrays, "average/"))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(arrays, "optimizer/").items():
            index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self._scaler.load_state_dict(state.document["scaler"])
        self.course = Course(**state.document["course"])
        self._batches.set_state(arrays["random/batches"])
        torch.set_rng_state(arrays["random/cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(arrays["random/cuda"], self.device)


@contextmanager
def repeatable(seed: int, threads: int, device: torch.device) -> Iterator[None]:
    """Seeds, deterministic kernels and a fixed number of threads; the caller's own are put back."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    strict = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    cards = [device] if device.type == "cuda" else []
    try:
        with fixed_threads(threads), torch.random.fork_rng(devices=cards):
            torch.manual_seed(seed)
            if cards:
                # What is told of a run is its own peak, not that of a search's trial before it.
                torch.cuda.reset_peak_memory_stats(device)
            yield
    finally:
        torch.use_deterministic_algorithms(strict)


def _groups(network: TabularNetwork, weight_decay: float) -> list[dict[str, Any]]:
    """Only the products' weights decay: neither biases and norms nor the members' scalings."""
    decaying = [m.weight for m in network.modules() if isinstance(m, nn.Linear)]
    others = [p for p in network.parameters() if all(p is not d for d in decaying)]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _copy(network: TabularNetwork, values: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    source = network.state_dict() if values is None else values
    return {name: value.detach().to(network.head.device, copy=True) for name, value in source.items()}


def _under(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
