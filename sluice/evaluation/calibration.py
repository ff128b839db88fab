"""Reliability: what share of rows with a score near p is positive."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.evaluation.additive import bin_of

Z = 1.959963984540054
"""Normal quantile of a 95 % interval."""


def reliability(
    label: npt.NDArray[np.float64], score: npt.NDArray[np.float64], bins: int
) -> list[dict[str, float | int]]:
    """The occupied equal-width bins, lowest first.

    Each holds `low`, `high`, `rows`, `mean_score`, `share` of positives and its 95 % Wilson interval
    (`share_low`, `share_high`).
    """
    member = bin_of(score, bins)
    result: list[dict[str, float | int]] = []
    for i in np.unique(member):
        inside = member == i
        rows, share = int(inside.sum()), float(label[inside].mean())
        low, high = wilson(share, rows)
        edges: dict[str, Any] = {"low": float(i / bins), "high": float((i + 1) / bins), "rows": rows}
        result.append(
            edges | {"mean_score": float(score[inside].mean()), "share": share, "share_low": low, "share_high": high}
        )
    return result


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share of independent rows."""
    centre = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * float(np.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2)))
    return max(0.0, centre - half), min(1.0, centre + half)
