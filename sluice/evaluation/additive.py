"""Metrics that are a function of sums over rows: what resampling needs is one sum a cluster, not the rows.

Each builder turns label and score into statistics [n x m]; each finisher turns weighted sums [... x m] into the
metric [...]. Formulas as scikit-learn documents them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice.evaluation.context import Context

Floats = npt.NDArray[np.float64]
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Additive:
    """Statistics of rows [n x m] and the function of their sums [... x m] that is the metric [...]."""

    statistics: Callable[[Floats, Floats, Context], Floats]
    finish: Callable[[Floats], Floats]


def _ratio(numerator: Floats, denominator: Floats, empty: float = 0.0) -> Floats:
    out = np.full(np.shape(denominator), empty)
    return np.asarray(np.divide(numerator, denominator, out=out, where=denominator > 0))


def _mean(per_row: Callable[[Floats, Floats, Context], Floats], root: bool = False) -> Additive:
    def statistics(label: Floats, score: Floats, context: Context) -> Floats:
        return np.column_stack([np.ones(len(label)), per_row(label, score, context)])

    def finish(sums: Floats) -> Floats:
        mean = _ratio(sums[..., 1], sums[..., 0], np.nan)
        return np.asarray(np.sqrt(mean)) if root else mean

    return Additive(statistics, finish)


def _outcomes(label: Floats, score: Floats, context: Context) -> Floats:
    positive = score >= context.threshold
    return np.column_stack([label * positive, label * ~positive, (1 - label) * positive, (1 - label) * ~positive])


def _binary_log_loss(label: Floats, score: Floats, _: Context) -> Floats:
    p = np.clip(score, EPSILON, 1 - EPSILON)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


def _class_log_loss(label: Floats, score: Floats, _: Context) -> Floats:
    p = score[np.arange(len(label)), label.astype(np.int64)]
    return -np.log(np.clip(p, EPSILON, 1 - EPSILON))


def bin_of(score: Floats, bins: int) -> npt.NDArray[np.int64]:
    """The equal-width bin on [0, 1] of each score: int64 [n]."""
    return np.clip((score * bins).astype(np.int64), 0, bins - 1)


def _bin_sums(label: Floats, score: Floats, context: Context) -> Floats:
    member = bin_of(score, context.bins)[:, None] == np.arange(context.bins)
    return np.hstack([member, member * (label - score)[:, None]]).astype(np.float64)


def _calibration(sums: Floats) -> Floats:
    count, surplus = np.split(sums, 2, axis=-1)
    return _ratio(np.asarray(np.abs(surplus).sum(-1)), np.asarray(count.sum(-1)), np.nan)


def _confusion(label: Floats, score: Floats, _: Context) -> Floats:
    classes = score.shape[1]
    cell = label.astype(np.int64) * classes + score.argmax(1)
    return np.asarray(cell[:, None] == np.arange(classes * classes), dtype=np.float64)


def _macro(which: str) -> Callable[[Floats], Floats]:
    def finish(sums: Floats) -> Floats:
        classes = int(np.sqrt(sums.shape[-1]))
        table = sums.reshape(*sums.shape[:-1], classes, classes)
        hit, true, said = np.diagonal(table, axis1=-2, axis2=-1), table.sum(-1), table.sum(-2)
        value = {
            "precision": _ratio(hit, said),
            "recall": _ratio(hit, true),
            "f1": _ratio(2 * hit, true + said),
        }[which]
        # scikit-learn averages over the classes that occur as label or prediction.
        return _ratio((value * (true + said > 0)).sum(-1), (true + said > 0).sum(-1).astype(np.float64), np.nan)

    return finish


def _squares(label: Floats, score: Floats, _: Context) -> Floats:
    # R2 does not change when labels are shifted; about their mean the squares keep their digits.
    centred = label - label.mean() if len(label) else label
    return np.column_stack([np.ones(len(label)), centred, centred**2, (label - score) ** 2])


def _r2(sums: Floats) -> Floats:
    count, total, squares, residual = np.moveaxis(sums, -1, 0)
    spread = squares - _ratio(total**2, count)
    return np.asarray(1 - np.divide(residual, spread, out=np.full(np.shape(spread), np.nan), where=spread > 0))


def _pinball(label: Floats, score: Floats, context: Context) -> Floats:
    q = np.asarray(context.quantiles)
    error = label[:, None] - (score if score.ndim == 2 else score[:, None])
    return np.asarray(np.maximum(q * error, (q - 1) * error).mean(1))


ADDITIVE: dict[tuple[str, str], Additive] = {
    ("binary", "accuracy"): _mean(lambda y, s, c: ((s >= c.threshold) == (y == 1)).astype(np.float64)),
    ("binary", "precision"): Additive(_outcomes, lambda t: _ratio(t[..., 0], t[..., 0] + t[..., 2])),
    ("binary", "recall"): Additive(_outcomes, lambda t: _ratio(t[..., 0], t[..., 0] + t[..., 1])),
    ("binary", "f1"): Additive(_outcomes, lambda t: _ratio(2 * t[..., 0], 2 * t[..., 0] + t[..., 1] + t[..., 2])),
    ("binary", "log_loss"): _mean(_binary_log_loss),
    ("binary", "brier"): _mean(lambda y, s, _: (s - y) ** 2),
    ("binary", "calibration_error"): Additive(_bin_sums, _calibration),
    ("multiclass", "accuracy"): _mean(lambda y, s, _: (s.argmax(1) == y).astype(np.float64)),
    ("multiclass", "f1_macro"): Additive(_confusion, _macro("f1")),
    ("multiclass", "precision_macro"): Additive(_confusion, _macro("precision")),
    ("multiclass", "recall_macro"): Additive(_confusion, _macro("recall")),
    ("multiclass", "log_loss"): _mean(_class_log_loss),
    ("regression", "mae"): _mean(lambda y, s, _: np.abs(y - s)),
    ("regression", "rmse"): _mean(lambda y, s, _: (y - s) ** 2, root=True),
    ("regression", "r2"): Additive(_squares, _r2),
    ("regression", "pinball"): _mean(_pinball),
}
"""(task, metric) of every metric that is a function of sums."""
