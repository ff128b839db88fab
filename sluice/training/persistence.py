"""The forecast that every model of a series must beat: it goes on as it last went.

A candidate of kind `import` (`sluice.training.persistence:Persistence`), with the parameter `column`: the place, from
0, of the feature that holds the last known label (a window over the label stream that is one event wide).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sluice.export.writer import GraphWriter

MISSING = -1.0


class Persistence:
    """Binary: the share of positives among the train rows with the same last label. Regression: the last value."""

    def __init__(self, params: dict[str, Any], seed: int, task: str) -> None:  # noqa: ARG002 (nothing is drawn)
        if task == "multiclass":
            raise ValueError("persistence is for binary tasks and regressions")
        self._task = task
        self._column = int(params["column"])
        self._opset = int(params.get("opset", 17))
        self._width = 0
        self._scores = np.zeros(3, dtype=np.float32)

    def fit(self, x: np.ndarray, y: np.ndarray, x_validation: np.ndarray, y_validation: np.ndarray) -> None:
        """x: float32 [n, d]; y: float64 [n]. The validation rows are not looked at."""
        del x_validation, y_validation
        self._width = x.shape[1]
        last = np.nan_to_num(x[:, self._column], nan=MISSING)
        whole = float(y.mean())
        parts = [y[last == MISSING], y[(last != MISSING) & (last < 0.5)], y[last >= 0.5]]
        self._scores = np.array([part.mean() if part.size else whole for part in parts], dtype=np.float32)

    def score(self, x: np.ndarray) -> np.ndarray:
        """float32 [n]."""
        last = x[:, self._column].astype(np.float32)
        known = last if self._task == "regression" else np.where(last >= 0.5, self._scores[2], self._scores[1])
        scores: np.ndarray = np.where(np.isnan(last), self._scores[0], known)
        return scores

    def to_onnx(self) -> bytes:
        """The same choices as nodes."""
        graph = GraphWriter(self._width, self._opset)
        missing, low, high = (graph.constant(self._scores[i]) for i in range(3))
        last = graph.node("Gather", graph.input, graph.constant(np.array(self._column)), axis=1)
        known = last
        if self._task != "regression":
            half = graph.constant(np.array(0.5, dtype=np.float32))
            known = graph.node("Where", graph.node("GreaterOrEqual", last, half), high, low)
        return graph.finish(graph.node("Where", graph.node("IsNaN", last), missing, known), 0)
