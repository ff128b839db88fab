"""Training speed: every kind of candidate in rows a second, and the network against a plain DataLoader loop.

    python bench/training.py [--rows 100000] [--threads 1] [--epochs 2] [--only network]

Hyper-parameters are those of use_cases/fraud.yaml (a forest, which is none of its rungs, has 50 trees of depth 12).
A row counts once for every pass over it: boosting round, epoch, tree, iteration of the solver. The plain loop trains
the same network with the same batches and optimiser, on the card where there is one, in single precision, on one-row
items that a DataLoader gathers; ratios are to it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from rich.console import Console
from rich.table import Table
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sluice.evaluation.metrics import metric
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.settings import read_use_case
from sluice.settings.training import Candidate
from sluice.training.candidates import read_params
from sluice.training.kinds import fit_kind
from sluice.training.network import TabularNetwork, quantile_bins
from sluice.training.network_model import fixed_threads
from sluice.training.parameters import NetworkParams
from sluice.training.problem import Problem
from sluice.training.shape import NetworkShape

USE_CASE = Path(__file__).parents[1] / "use_cases" / "fraud.yaml"
COLUMNS = 17
FOREST: dict[str, Any] = {"trees": 50, "max_depth": 12}


def problem(rows: int, threads: int, seed: int) -> Problem:
    """Long-tailed numbers, and about 0.8 % positives that depend on three of them."""
    draw = np.random.default_rng(seed)
    x = np.exp(draw.normal(size=(rows, COLUMNS))).astype(np.float32)
    logits = 1.5 * np.log(x[:, 0]) * np.log(x[:, 1]) + np.log(x[:, 2]) - 7
    y = (draw.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float64)
    schema = FeatureSchema(tuple(FeatureColumn(f"f{i}") for i in range(COLUMNS)))
    cut = rows * 9 // 10
    return Problem(
        task="binary",
        classes=2,
        schema=schema,
        x=x[:cut],
        y=y[:cut],
        x_validation=x[cut:],
        y_validation=y[cut:],
        measure=lambda score: metric("average_precision", "binary", y[cut:], score),
        higher=True,
        absolute=False,
        seed=seed,
        threads=threads,
        device="auto",
        memory=read_use_case(USE_CASE).training.memory,
        opset=17,
    )


def candidates(epochs: int) -> dict[str, Candidate]:
    """The ladder of the fraud use case and a forest; the network stops after `epochs`."""
    found = {c.id: c for c in read_use_case(USE_CASE).training.candidates}
    found["forest"] = Candidate(id="forest", kind="forest", params=FOREST)
    network = found["network"]
    found["network"] = network.model_copy(update={"params": {**network.params, "max_epochs": epochs}})
    return found


def plain_loop(task: Problem, params: NetworkParams) -> int:
    """What one writes first: a dataset of rows, a loader, a loop. Rows seen."""
    shape = NetworkShape.of(params, COLUMNS, (), 1)
    x = ((task.x - task.x.mean(axis=0)) / task.x.std(axis=0)).astype(np.float32)
    target = torch.from_numpy(task.y.astype(np.float32))
    torch.manual_seed(task.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = TabularNetwork(shape, params.dropout, *quantile_bins(x, params.bins)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    loader = DataLoader(TensorDataset(torch.from_numpy(x), target), batch_size=params.batch_size, shuffle=True)
    codes = torch.zeros(params.batch_size, 0, dtype=torch.int64, device=device)
    last = torch.from_numpy(task.x_validation).to(device)
    with fixed_threads(task.threads):
        for _ in range(params.max_epochs):
            network.train()
            for numbers, wanted in loader:
                logits = network(numbers.to(device), codes[: len(numbers)])[..., 0]
                aim = wanted.to(device).expand(len(logits), -1)
                loss = functional.binary_cross_entropy_with_logits(logits, aim)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            network.eval()
            with torch.no_grad():
                for part in last.split(params.batch_size):  # type: ignore[no-untyped-call]
                    network(part, codes[: len(part)])
    return len(x) * params.max_epochs


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """Rows seen and seconds."""
    start = time.perf_counter()
    rows = work()
    return rows, time.perf_counter() - start


def measure(task: Problem, epochs: int, only: list[str]) -> dict[str, tuple[int, float]]:
    """Rows seen and seconds, by name; the plain loop first. A few rows warm everything up."""
    found, few = candidates(epochs), replace(task, x=task.x[:4096], y=task.y[:4096])
    params: Any = read_params(found["network"], dict(found["network"].params))
    found = {name: candidate for name, candidate in found.items() if not only or name in only}
    for candidate in found.values():
        fit_kind(few, read_params(candidate, dict(candidate.params)), None)
    plain_loop(few, params)
    times = {"plain loop (network)": timed(lambda: plain_loop(task, params))}
    for name, candidate in found.items():
        given = read_params(candidate, dict(candidate.params))
        times[name] = timed(lambda given=given: fit_kind(task, given, None).rows_seen)  # type: ignore[misc]
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], metavar="ID", help="candidates; default: all")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    times = measure(problem(arguments.rows, arguments.threads, arguments.seed), arguments.epochs, arguments.only)
    console = Console()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    console.print(f"{machine(device)}")
    console.print(f"{arguments.rows:,} rows x {COLUMNS}, {arguments.threads} threads")
    table = Table("candidate", "rows seen", "seconds", "rows/s", "ratio to the plain loop")
    base = times["plain loop (network)"][0] / times["plain loop (network)"][1]
    for name, (rows, seconds) in times.items():
        speed = rows / seconds
        table.add_row(name, f"{rows:,}", f"{seconds:.2f}", f"{speed:,.0f}", f"{speed / base:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
