"""What every kind of candidate gets to learn from, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sluice.features.schema import FeatureSchema
from sluice.settings.training import Memory
from sluice.steps import Progress, silent
from sluice.training.checkpoints import Checkpoints
from sluice.training.group import ALONE, Group
from sluice.training.memory import Ask


@dataclass(frozen=True)
class Problem:
    """One learning task as matrices.

    Attributes:
        task: binary, multiclass or regression.
        classes: number of classes; 0 for a regression.
        schema: meaning of the columns.
        x, x_validation: float32 [n, d], exactly what the graph will receive (NaN: missing, categories as codes).
        y, y_validation: float64 [n]: 0/1, class index, or value.
        measure: the selection metric of validation scores ([n] or [n, k]).
        higher: whether a higher measure is better.
        absolute: whether the metric is an absolute error, whose best constant is the median.
        threads: CPU threads; part of the result, as sums depend on their order.
        device: auto, cpu or cuda.
        checkpoints: where a training that takes epochs keeps its state; None: nowhere.
        group: the processes that train together; all have the whole problem.
        ask: the person who is asked which way to scale; None: nobody is there.
    """

    task: str
    classes: int
    schema: FeatureSchema
    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    measure: Callable[[np.ndarray], float]
    higher: bool
    absolute: bool
    seed: int
    threads: int
    device: str
    memory: Memory
    opset: int
    checkpoints: Checkpoints | None = None
    ask: Ask | None = None
    group: Group = ALONE
    progress: Progress = silent

    def better(self, value: float, than: float | None) -> bool:
        """Whether a measure beats another (None: nothing yet)."""
        return than is None or (value > than if self.higher else value < than)


class Fitted(Protocol):
    """A trained model that can score and write itself as a graph."""

    def score(self, x: np.ndarray) -> np.ndarray:
        """Scores of float32 [n, d]: [n] probability or value, [n, k] for k classes."""

    def to_onnx(self) -> bytes:
        """The graph with everything inside."""


@dataclass(frozen=True)
class Fit:
    """A training's outcome.

    Attributes:
        model: scores and exports.
        curves: per round or epoch, for the report.
        notes: facts that are part of the result (rounds kept, converged …).
        rows_seen: rows processed in all passes, for rows a second.
        plan: the memory plan, for kinds that have one.
        run: facts of this run alone (device, measured memory); never part of a version.
    """

    model: Fitted
    curves: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    rows_seen: int = 0
    plan: dict[str, Any] | None = None
    run: dict[str, Any] = field(default_factory=dict)
