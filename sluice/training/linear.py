"""Logistic and ridge regression on preprocessed columns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from sluice.errors import TrainingError
from sluice.export.writer import GraphWriter
from sluice.training.parameters import LinearParams, LogisticParams
from sluice.training.preprocessing import Categories, Numbers, fit_numbers
from sluice.training.problem import Fit, Problem


@dataclass(frozen=True)
class LinearModel:
    """`weight` float64 [m, k], `bias` float64 [k]; k is 1 but for several classes."""

    task: str
    numbers: Numbers
    categories: Categories
    weight: np.ndarray
    bias: np.ndarray
    features: int
    opset: int
    threads: int

    def score(self, x: np.ndarray) -> np.ndarray:
        """[n] probability or value, [n, k] for k classes; in float64 on the graph's float32 columns."""
        with threadpool_limits(self.threads):
            logits = _columns(self.numbers, self.categories, x) @ self.weight + self.bias
        if self.task == "multiclass":
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
            return shares
        values: np.ndarray = logits[:, 0]
        return 0.5 * (1 + np.tanh(values / 2)) if self.task == "binary" else values

    def to_onnx(self) -> bytes:
        """Preprocessing, one product, the link."""
        graph = GraphWriter(self.features, self.opset)
        parts = [self.numbers.write(graph)] if len(self.numbers.columns) else []
        parts += self.categories.write_one_hot(graph)
        joined = graph.node("Concat", *parts, axis=1)
        logits = graph.affine(joined, self.weight, self.bias)
        return graph.finish(graph.link(logits, self.task), self.weight.shape[1] if self.task == "multiclass" else 0)


def fit_logistic(problem: Problem, params: LogisticParams) -> Fit:
    """Maximum likelihood with a squared penalty (L-BFGS).

    Raises:
        TrainingError: the train rows hold one class only.
    """
    seen = np.unique(problem.y.astype(np.int64))
    if len(seen) < max(2, problem.classes):
        raise TrainingError(
            f"the train rows hold {len(seen)} of {problem.classes} classes", "widen split.train or the sample"
        )
    numbers, categories, columns = _prepared(problem, params)
    solver = LogisticRegression(
        C=params.C,
        max_iter=params.max_iter,
        tol=params.tolerance,
        class_weight="balanced" if params.balanced else None,
    )
    with threadpool_limits(problem.threads), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        solver.fit(columns, problem.y.astype(np.int64))
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    rounds = int(solver.n_iter_.max())
    model = _model(problem, numbers, categories, solver.coef_.T, solver.intercept_)
    notes = {"iterations": rounds, "converged": converged}
    return Fit(model, notes=notes, rows_seen=rounds * len(columns))


def fit_linear(problem: Problem, params: LinearParams) -> Fit:
    """Least squares with a squared penalty, solved directly."""
    numbers, categories, columns = _prepared(problem, params)
    with threadpool_limits(problem.threads):
        solver: Any = Ridge(alpha=params.alpha, solver="cholesky").fit(columns, problem.y)
    model = _model(problem, numbers, categories, solver.coef_.reshape(-1, 1), np.array([solver.intercept_]))
    return Fit(model, rows_seen=len(columns))


def _prepared(problem: Problem, params: LinearParams | LogisticParams) -> tuple[Numbers, Categories, np.ndarray]:
    numbers = fit_numbers(problem.schema, problem.x, log=params.log, indicators=params.indicators)
    categories = Categories.of(problem.schema)
    return numbers, categories, _columns(numbers, categories, problem.x)


def _columns(numbers: Numbers, categories: Categories, x: np.ndarray) -> np.ndarray:
    return np.concatenate([numbers.apply(x), categories.one_hot(x)], axis=1).astype(np.float64)


def _model(
    problem: Problem, numbers: Numbers, categories: Categories, weight: np.ndarray, bias: np.ndarray
) -> LinearModel:
    sizes = (problem.x.shape[1], problem.opset, problem.threads)
    return LinearModel(problem.task, numbers, categories, weight, bias, *sizes)
