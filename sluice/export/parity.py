"""The graph scores like the trained model, or the run fails."""

from __future__ import annotations

import numpy as np

from sluice.errors import ExportError


def largest_difference(graph: np.ndarray, model: np.ndarray) -> float:
    """Largest |graph - model| over rows and classes, as a share of the largest |model| where that is above 1.

    Probabilities are compared as they are; a regression's values relative to their size, as float32 holds them.
    """
    if graph.shape != model.shape:
        raise ExportError(
            f"the graph gives scores {list(graph.shape)}, the trained model {list(model.shape)}",
            "a score a row, or a column a class",
        )
    size = max(1.0, float(np.abs(model).max(initial=0.0)))
    return float(np.abs(graph.astype(np.float64) - model).max(initial=0.0)) / size


def check_parity(graph: np.ndarray, model: np.ndarray, tolerance: float, where: str) -> float:
    """The largest difference.

    Raises:
        ExportError: it is above the tolerance, or a score is no finite number.
    """
    if not np.isfinite(graph).all():
        raise ExportError(f"{where}: the graph gives scores that are no finite numbers", "look for extreme features")
    difference = largest_difference(graph, model)
    if difference > tolerance:
        raise ExportError(
            f"{where}: graph and trained model differ by {difference:.3g}, more than export.tolerance {tolerance:.3g}",
            "take logarithms of columns with a long tail (params.log), or raise export.tolerance if you accept it",
        )
    return difference
