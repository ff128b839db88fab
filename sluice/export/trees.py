"""Tree ensembles as one ONNX operator, from the arrays of XGBoost or scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sluice.export.writer import TREES_DOMAIN, TREES_VERSION, GraphWriter


@dataclass(frozen=True)
class TreeArrays:
    """One tree, root first.

    Attributes:
        left, right: int64 [nodes], child positions; -1 in leaves.
        feature: int64 [nodes].
        threshold: float32 [nodes].
        missing_left: bool [nodes], where a NaN goes.
        value: float32 [nodes, targets], the leaves' part of the sum.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray


def write_trees(graph: GraphWriter, trees: list[TreeArrays], mode: str, base: np.ndarray) -> str:
    """The sum over trees: float32 [n, targets].

    Args:
        mode: BRANCH_LT (left where x < threshold; XGBoost) or BRANCH_LEQ (left where x <= threshold; scikit-learn).
        base: float32 [targets], added to the sum.
    """
    sizes = [len(tree.left) for tree in trees]
    owner = np.repeat(np.arange(len(trees)), sizes)
    position = np.concatenate([np.arange(size) for size in sizes])
    whole = _joined(trees)
    leaf = whole.left < 0
    rows, targets = np.nonzero(leaf)[0], whole.value.shape[1]
    return graph.node(
        "TreeEnsembleRegressor",
        graph.input,
        domain=TREES_DOMAIN,
        n_targets=targets,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=base.astype(np.float32).tolist(),
        nodes_treeids=owner.tolist(),
        nodes_nodeids=position.tolist(),
        nodes_modes=np.where(leaf, "LEAF", mode).tolist(),
        nodes_featureids=np.where(leaf, 0, whole.feature).tolist(),
        nodes_values=np.where(leaf, 0, whole.threshold).astype(np.float32).tolist(),
        nodes_truenodeids=np.where(leaf, 0, whole.left).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, whole.right).tolist(),
        nodes_missing_value_tracks_true=np.where(leaf, 0, whole.missing_left).astype(np.int64).tolist(),
        target_treeids=np.repeat(owner[rows], targets).tolist(),
        target_nodeids=np.repeat(position[rows], targets).tolist(),
        target_ids=np.tile(np.arange(targets), len(rows)).tolist(),
        target_weights=whole.value[rows].astype(np.float32).ravel().tolist(),
    )


def only_target(tree: TreeArrays, target: int, targets: int) -> TreeArrays:
    """A tree of one value a leaf as a part of `target` among several."""
    value = np.zeros((len(tree.left), targets), dtype=np.float32)
    value[:, target] = tree.value[:, 0]
    return replace(tree, value=value)


def _joined(trees: list[TreeArrays]) -> TreeArrays:
    names = ("left", "right", "feature", "threshold", "missing_left", "value")
    return TreeArrays(*(np.concatenate([getattr(tree, name) for tree in trees]) for name in names))


__all__ = ["TREES_VERSION", "TreeArrays", "only_target", "write_trees"]
