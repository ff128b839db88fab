"""What serving the challenger costs: bytes, and the time of one row on the clock that is passed in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from sluice.features.schema import to_matrix
from sluice.gate.case import Contender
from sluice.gate.verdict import Check
from sluice.settings.judging import Budgets

WARM_UP = 20
"""First calls allocate; a server's are long past."""


def budget_checks(
    contender: Contender, sample: pl.DataFrame, budgets: Budgets, clock: Callable[[], float]
) -> list[Check]:
    """Size in bytes, and the 95th percentile of one row through the graph in milliseconds."""
    latency = p95_ms(contender, sample, clock)
    return [
        Check(
            "size",
            contender.size_bytes <= budgets.size,
            f"{contender.size_bytes:,} bytes (allowed {budgets.size:,})",
            {"bytes": contender.size_bytes},
            budgets.size,
        ),
        Check(
            "latency",
            latency <= budgets.latency_ms,
            f"one row takes {latency:.3f} ms in 95 of 100 cases (allowed {budgets.latency_ms:g} ms)",
            {"p95_ms": latency, "calls": sample.height},
            budgets.latency_ms,
        ),
    ]


def p95_ms(contender: Contender, sample: pl.DataFrame, clock: Callable[[], float]) -> float:
    """The 95th percentile of scoring the sample's rows one by one, in milliseconds."""
    calls = _calls(contender, sample)
    for call in calls[:WARM_UP]:
        call()
    seconds = np.empty(len(calls))
    for i, call in enumerate(calls):
        start = clock()
        call()
        seconds[i] = clock() - start
    return float(np.quantile(seconds, 0.95) * 1000)


def _calls(contender: Contender, sample: pl.DataFrame) -> list[Callable[[], np.ndarray]]:
    if contender.graph is None or contender.schema is None:
        return [lambda i=i: contender.score(sample[i : i + 1]) for i in range(sample.height)]  # type: ignore[misc]
    score, matrix = contender.graph.score, to_matrix(contender.schema, sample)
    return [lambda i=i: score(matrix[i : i + 1]) for i in range(len(matrix))]  # type: ignore[misc]
