"""What plots are drawn from: PR and ROC curves, score histograms, residuals. At most 200 points a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.evaluation.ranking import descending

Floats = npt.NDArray[np.float64]
POINTS = 200
_LOGITS = np.linspace(-7, 7, 43)


def ranking_curves(label: Floats, score: Floats) -> dict[str, Any]:
    """`pr` {recall, precision} and `roc` {false_positive_rate, true_positive_rate}; empty without both classes."""
    order, last = descending(score)
    hits = np.cumsum(label[order])[last]
    taken = np.flatnonzero(last) + 1.0
    positives, negatives = float(label.sum()), float(len(label) - label.sum())
    if not positives or not negatives:
        return {}
    recall, precision = hits / positives, hits / taken
    false = (taken - hits) / negatives
    pr = _thinned(np.append(0.0, recall), np.append(precision[0], precision))
    roc = _thinned(np.append(0.0, false), np.append(0.0, recall))
    return {
        "pr": {"recall": pr[0], "precision": pr[1]},
        "roc": {"false_positive_rate": roc[0], "true_positive_rate": roc[1]},
    }


def score_histogram(label: Floats, score: Floats) -> dict[str, Any]:
    """Rows of each class by score, in bins of equal width in log odds, so that small probabilities are told apart.

    `edges` are the 44 log odds (the outer two open), `negative` and `positive` the counts.
    """
    clipped = np.clip(score, 1e-12, 1 - 1e-12)
    odds = np.clip(np.log(clipped / (1 - clipped)), _LOGITS[0], _LOGITS[-1])
    counts = {
        name: np.histogram(odds[label == y], _LOGITS)[0].tolist() for name, y in (("negative", 0.0), ("positive", 1.0))
    }
    return {"edges": _LOGITS.round(6).tolist(), **counts}


def confusion(label: Floats, score: Floats) -> list[list[int]]:
    """Rows by true class (down) and class of the highest score (across)."""
    classes = score.shape[1]
    cell = label.astype(np.int64) * classes + score.argmax(1)
    return np.bincount(cell, minlength=classes * classes).reshape(classes, classes).tolist()


def residual_histogram(label: Floats, score: Floats) -> dict[str, Any]:
    """Rows by residual (label - score) in 40 bins between the 0.5 % and 99.5 % quantiles (outer bins open)."""
    residual = label - score
    low, high = np.quantile(residual, [0.005, 0.995])
    edges = np.linspace(low, high, 41) if high > low else np.linspace(low - 0.5, low + 0.5, 41)
    counts = np.histogram(np.clip(residual, edges[0], edges[-1]), edges)[0]
    return {"edges": edges.tolist(), "rows": counts.tolist()}


def _thinned(x: Floats, y: Floats) -> tuple[list[float], list[float]]:
    """At most `POINTS` points, evenly along the curve's length, both ends kept."""
    if len(x) > POINTS:
        length = np.append(0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
        kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(0, len(x) - 1))
        x, y = x[kept], y[kept]
    return x.round(6).tolist(), y.round(6).tolist()
