"""What happens to columns before a linear model or a network, in NumPy and in the graph alike.

Both sides do the same float32 operations in the same order, so that a model learns from what its graph will see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from sluice.errors import SettingsError
from sluice.export.writer import GraphWriter
from sluice.features.schema import FeatureSchema


@dataclass(frozen=True)
class Numbers:
    """Numbers, transformed: log where asked, imputed, standardised, clipped; then the indicators of missing ones.

    Attributes:
        columns: int64 [m], positions in the matrix.
        log: bool [m], taken as sign(x) log(1 + |x|).
        median, mean, factor: float32 [m], of the train rows after the logarithm; factor is 1 / standard deviation.
        indicators: int64 [i], positions of numbers with a missing-indicator.
        clip: largest distance from 0 after standardising.
    """

    columns: np.ndarray
    log: np.ndarray
    median: np.ndarray
    mean: np.ndarray
    factor: np.ndarray
    indicators: np.ndarray
    clip: float | None

    @property
    def width(self) -> int:
        """Columns that come out."""
        return len(self.columns) + len(self.indicators)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """float32 [n, d] to float32 [n, width]."""
        values = x[:, self.columns]
        if self.log.any():
            values = np.where(self.log, np.sign(values) * np.log(np.abs(values) + np.float32(1)), values)
        values = (np.where(np.isnan(values), self.median, values) - self.mean) * self.factor
        if self.clip is not None:
            values = np.clip(values, np.float32(-self.clip), np.float32(self.clip))
        return np.concatenate([values, np.isnan(x[:, self.indicators]).astype(np.float32)], axis=1)

    def write(self, graph: GraphWriter) -> str:
        """The same as nodes; the name of the [n, width] result."""
        values = graph.node("Gather", graph.input, graph.constant(self.columns), axis=1)
        if self.log.any():
            size = graph.node("Add", graph.node("Abs", values), graph.constant(np.float32(1)))
            logged = graph.node("Mul", graph.node("Sign", values), graph.node("Log", size))
            values = graph.node("Where", graph.constant(self.log), logged, values)
        missing = graph.node("IsNaN", values)
        values = graph.node("Where", missing, graph.constant(self.median), values)
        values = graph.scale(values, self.mean, self.factor)
        if self.clip is not None:
            low, high = graph.constant(np.float32(-self.clip)), graph.constant(np.float32(self.clip))
            values = graph.node("Clip", values, low, high)
        if not len(self.indicators):
            return values
        watched = graph.node("Gather", graph.input, graph.constant(self.indicators), axis=1)
        return graph.node(
            "Concat", values, graph.node("Cast", graph.node("IsNaN", watched), to=TensorProto.FLOAT), axis=1
        )


def fit_numbers(
    schema: FeatureSchema, x: np.ndarray, *, log: Sequence[str], indicators: bool, clip: float | None = None
) -> Numbers:
    """Medians, means and deviations of the train rows.

    Raises:
        SettingsError: `log` names a column that is not a number of the schema.
    """
    names = [c.name for c in schema.columns if c.kind == "number"]
    unknown = sorted(set(log) - set(names))
    if unknown:
        raise SettingsError("training.candidates", [f"params.log: {', '.join(unknown)}: no number among the features"])
    columns = np.array([i for i, c in enumerate(schema.columns) if c.kind == "number"], dtype=np.int64)
    logged = np.array([name in log for name in names], dtype=bool)
    values = x[:, columns].astype(np.float64)
    values = np.where(logged, np.sign(values) * np.log(np.abs(values) + 1), values)
    empty = np.isnan(values)
    median = np.array([np.median(v[~e]) if not e.all() else 0.0 for v, e in zip(values.T, empty.T, strict=True)])
    filled = np.where(empty, median, values)
    deviation = filled.std(axis=0) if len(filled) else np.ones(len(columns))
    factor = np.where(deviation > 1e-12, 1 / np.maximum(deviation, 1e-12), 1.0)
    watched = columns[empty.any(axis=0)] if indicators else columns[:0]
    single = (median, filled.mean(axis=0), factor)
    median32, mean32, factor32 = (v.astype(np.float32) for v in single)
    return Numbers(columns, logged, median32, mean32, factor32, watched, clip)


@dataclass(frozen=True)
class Categories:
    """Category codes. `columns` int64 [c] positions, `sizes` int64 [c] numbers of codes."""

    columns: np.ndarray
    sizes: np.ndarray

    @staticmethod
    def of(schema: FeatureSchema) -> Categories:
        """The schema's categories."""
        found = [(i, c.cardinality) for i, c in enumerate(schema.columns) if c.kind == "category"]
        pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
        return Categories(pairs[:, 0], pairs[:, 1])

    def one_hot(self, x: np.ndarray) -> np.ndarray:
        """float32 [n, sum of sizes]."""
        parts = [
            x[:, c : c + 1] == np.arange(s, dtype=np.float32) for c, s in zip(self.columns, self.sizes, strict=True)
        ]
        return np.concatenate(parts, axis=1).astype(np.float32) if parts else np.empty((len(x), 0), dtype=np.float32)

    def write_one_hot(self, graph: GraphWriter) -> list[str]:
        """The same as nodes; a name a category, each [n, size]."""
        names = []
        for column, size in zip(self.columns, self.sizes, strict=True):
            code = graph.node("Gather", graph.input, graph.constant(np.array([column])), axis=1)
            equal = graph.node("Equal", code, graph.constant(np.arange(size, dtype=np.float32)))
            names.append(graph.node("Cast", equal, to=TensorProto.FLOAT))
        return names
