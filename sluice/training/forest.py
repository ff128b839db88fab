"""Random forest (scikit-learn), written as one tree operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from sluice.export.trees import TreeArrays, write_trees
from sluice.export.writer import GraphWriter
from sluice.training.parameters import ForestParams
from sluice.training.problem import Fit, Problem


@dataclass(frozen=True)
class ForestModel:
    """`positions`: int64 [classes seen], their columns among the task's classes."""

    task: str
    classes: int
    forest: Any
    positions: np.ndarray
    features: int
    opset: int

    def score(self, x: np.ndarray) -> np.ndarray:
        """[n] probability or value, [n, k] for k classes."""
        if self.task == "regression":
            values: np.ndarray = self.forest.predict(x)
            return values
        shares = np.zeros((len(x), self.classes))
        shares[:, self.positions] = self.forest.predict_proba(x)
        return shares[:, 1] if self.task == "binary" else shares

    def to_onnx(self) -> bytes:
        """Every leaf holds its part of the mean over trees."""
        graph = GraphWriter(self.features, self.opset)
        count = len(self.forest.estimators_)
        trees = [self._arrays(estimator.tree_, count) for estimator in self.forest.estimators_]
        sums = write_trees(graph, trees, "BRANCH_LEQ", np.zeros(trees[0].value.shape[1]))
        if self.task == "multiclass":
            return graph.finish(sums, self.classes)
        return graph.finish(graph.node("Squeeze", sums, graph.constant(np.array([1]))))

    def _arrays(self, tree: Any, count: int) -> TreeArrays:
        value = tree.value[:, 0, :] / count
        if self.task != "regression":
            shares = np.zeros((len(value), self.classes))
            shares[:, self.positions] = value
            value = shares[:, 1:] if self.task == "binary" else shares
        return TreeArrays(
            left=tree.children_left,
            right=tree.children_right,
            feature=tree.feature,
            threshold=_lower_float32(tree.threshold),
            missing_left=tree.missing_go_to_left.astype(bool),
            value=value.astype(np.float32),
        )


def fit_forest(problem: Problem, params: ForestParams) -> Fit:
    """Grow all trees; nothing is chosen on validation."""
    settings: dict[str, Any] = {
        "n_estimators": params.trees,
        "max_depth": params.max_depth,
        "min_samples_leaf": params.min_samples_leaf,
        "max_features": params.max_features,
        "random_state": problem.seed,
        "n_jobs": problem.threads,
    }
    if problem.task == "regression":
        forest = RandomForestRegressor(**settings).fit(problem.x, problem.y)
        positions = np.zeros(0, dtype=np.int64)
    else:
        weights = "balanced" if params.balanced else None
        forest = RandomForestClassifier(class_weight=weights, **settings).fit(problem.x, problem.y.astype(np.int64))
        positions = forest.classes_
    # Trees are summed in the order that threads finish: one thread gives one order.
    forest.n_jobs = 1
    model = ForestModel(problem.task, problem.classes, forest, positions, problem.x.shape[1], problem.opset)
    nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    return Fit(model, notes={"nodes": int(nodes)}, rows_seen=len(problem.y) * params.trees)


def _lower_float32(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 not above each threshold: `x <= t` then means the same for every float32 x."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
