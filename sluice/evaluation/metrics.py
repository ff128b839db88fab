"""One function for every metric of `sluice.settings.metrics`, and for many resamples of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.errors import DataError
from sluice.evaluation.additive import ADDITIVE
from sluice.evaluation.card_precision import daily_card_precision
from sluice.evaluation.context import Context
from sluice.evaluation.ranking import average_precision, descending, roc_auc
from sluice.settings.metrics import HIGHER_IS_BETTER

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Resampler = Callable[[Floats], Floats]
"""Weights of clusters, float64 [resamples x clusters], to the metric of each resample, float64 [resamples]."""


def metric(name: str, task: str, label: Any, score: Any, *, context: Context | None = None) -> float:
    """A metric of scores against labels.

    Args:
        name, task: as in `sluice.settings.metrics.HIGHER_IS_BETTER`.
        label: [n]: 0/1, class index, or value.
        score: [n] probability or value; [n x classes] for multiclass; [n x quantiles] is allowed for pinball.
        context: what the metric needs besides: threshold (default 0.5), days and entities, quantiles, bins.

    Returns:
        NaN where the metric is undefined (no rows; a ranking without both classes). Precision, recall and F1
        without any such row are 0.

    Raises:
        DataError: unknown metric, shapes that do not fit, a score that is no finite number.
    """
    label, score = checked(name, task, label, score)
    if name == "card_precision":
        precision = daily_card_precision(label, score, context or Context())[1]
        return float(precision.mean()) if len(precision) else float("nan")
    if not len(label):
        return float("nan")
    everything = np.zeros(len(label), dtype=np.int64)
    return float(resampler(name, task, label, score, everything, context=context)(np.ones((1, 1)))[0])


def resampler(
    name: str, task: str, label: Floats, score: Floats, cluster: Codes, *, context: Context | None = None
) -> Resampler:
    """A function from weights of the clusters to the weighted metric; the work that resamples share is done once.

    `label` and `score` come from `checked`; `cluster` holds each row's code, int64 [n], the codes 0..clusters-1.
    Card precision has no row weights: its rows are its days, see `sluice.evaluation.bootstrap`.
    """
    if (task, name) in ADDITIVE:
        rule = ADDITIVE[task, name]
        statistics = rule.statistics(label, score, context or Context())
        count = int(cluster.max(initial=-1)) + 1
        per_cluster = np.column_stack([np.bincount(cluster, column, count) for column in statistics.T])
        return lambda weights: rule.finish(weights @ per_cluster)
    if name == "roc_auc_ovr":
        parts = [_ranked(roc_auc, label == c, score[:, c], cluster) for c in range(score.shape[1])]
        return lambda weights: _mean_of_defined(np.stack([part(weights) for part in parts]))
    if name == "card_precision":
        raise DataError(
            "card_precision is a mean over days, it has no weights of rows",
            "compare it with `paired_difference`, which resamples the days, or gate on another metric",
        )
    kernel = {"average_precision": average_precision, "roc_auc": roc_auc}[name]
    return _ranked(kernel, label == 1, score, cluster)


def checked(name: str, task: str, label: Any, score: Any) -> tuple[Floats, Floats]:
    """Label and score as float64 of fitting shapes.

    Raises:
        DataError: unknown metric, shapes that do not fit, a score that is no finite number.
    """
    known = HIGHER_IS_BETTER.get(task, {})
    if name not in known:
        raise DataError(f"a {task} task has no metric {name!r}", f"it has {', '.join(known)}")
    label, score = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    wide = task == "multiclass" or (name == "pinball" and score.ndim == 2)
    if label.ndim != 1 or score.ndim != (2 if wide else 1) or len(score) != len(label):
        raise DataError(
            f"{name}: labels of shape {label.shape} do not fit scores of shape {score.shape}",
            "a score a row, or a column a class for multiclass",
        )
    if not np.isfinite(score).all():
        raise DataError(f"{name}: {int((~np.isfinite(score)).sum())} scores are no finite numbers", "look at the graph")
    return label, score


def _ranked(kernel: Any, positive: npt.NDArray[np.bool_], score: Floats, cluster: Codes) -> Resampler:
    order, last = descending(score)
    ranked, clusters = positive[order].astype(np.float64), cluster[order]
    return lambda weights: np.asarray(kernel(ranked, last, clusters, np.ascontiguousarray(weights, dtype=np.float64)))


def _mean_of_defined(values: Floats) -> Floats:
    """Mean over classes [classes x resamples], of those that occur beside others."""
    defined = ~np.isnan(values)
    count = defined.sum(0)
    total = np.where(defined, values, 0.0).sum(0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
