"""The floor that every candidate must beat: one score for all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from sluice.export.writer import GraphWriter
from sluice.training.problem import Fit, Problem


@dataclass(frozen=True)
class ConstantModel:
    """`value`: float32 [1], or [k] for k classes."""

    value: np.ndarray
    features: int
    opset: int

    def score(self, x: np.ndarray) -> np.ndarray:
        """[n] or [n, k]: the same for every row."""
        flat = len(self.value) == 1
        return np.full(len(x), self.value[0]) if flat else np.tile(self.value, (len(x), 1))

    def to_onnx(self) -> bytes:
        """A graph that looks at the number of rows only."""
        graph = GraphWriter(self.features, self.opset)
        shape = graph.node("Shape", graph.input)
        rows = graph.node("Gather", shape, graph.constant(np.array([0])))
        classes = len(self.value) if len(self.value) > 1 else 0
        if classes:
            rows = graph.node("Concat", rows, graph.constant(np.array([classes])), axis=0)
        scores = graph.node("Expand", graph.constant(self.value), rows)
        return graph.finish(graph.node("Cast", scores, to=TensorProto.FLOAT), classes)


def fit_constant(problem: Problem) -> Fit:
    """The share of each class, or a regression's mean (median for an absolute error)."""
    if problem.task == "multiclass":
        value = np.bincount(problem.y.astype(np.int64), minlength=problem.classes) / len(problem.y)
    else:
        value = np.array([np.median(problem.y) if problem.absolute else problem.y.mean()])
    model = ConstantModel(value.astype(np.float32), problem.x.shape[1], problem.opset)
    return Fit(model, rows_seen=len(problem.y))
