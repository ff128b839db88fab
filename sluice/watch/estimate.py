"""What a metric would be if scores were probabilities: shown until labels tell, and then compared with them.

Each label is taken for a coin of its own that falls to 1 with the score's probability. The expected value of the
metric's sums is then exact, and the ratio of such sums stands for the metric. NannyML's documentation calls this
confidence-based performance estimation (CBPE); the forms for rankings are derived at each function. It knows nothing
of a world in which the same features mean something else by now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice.evaluation.ranking import descending

Floats = npt.NDArray[np.float64]
_EDGE = 1e-12


@dataclass(frozen=True)
class Calibrator:
    """Probability of a score: lines through points (`scores`, `probabilities`), level beyond the outer ones."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    @staticmethod
    def learned(label: Floats, score: Floats) -> Calibrator:
        """Isotonic regression of labels on scores, where both were known."""
        from sklearn.isotonic import IsotonicRegression

        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, label)
        return Calibrator(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))

    def __call__(self, score: Floats) -> Floats:
        """float64 [n] in 0..1."""
        return np.interp(score, self.scores, self.probabilities).astype(np.float64)


def expected(name: str, score: Floats, probability: Floats, *, threshold: float = 0.5) -> float | None:
    """The metric that scores [n] may be expected to have, if each row is positive with its probability [n].

    Returns:
        None where this metric has no such form, or there is nothing to count.
    """
    rule = _RULES.get(name)
    if rule is None or not len(score):
        return None
    value = rule(score, probability, threshold)
    return float(value) if np.isfinite(value) else None


def _average_precision(score: Floats, p: Floats, _: float) -> float:
    """Sum over rows of p_i (1 + sum of the others' p down to i's score) / (rows down to i's score), over the sum of p.

    The numerator is the expectation of sum of y_i x precision at i, exactly: for coins on their own
    E[y_i (y_i + S)] = p_i (1 + E[S]). Rows of one score are one step, as in `ranking.average_precision`.
    """
    order, last = descending(score)
    ranked = p[order]
    ends = np.flatnonzero(last)
    step = np.searchsorted(ends, np.arange(len(ranked)))
    taken, positives = ends[step] + 1, np.cumsum(ranked)[ends[step]]
    return _over(float((ranked * (1 + positives - ranked) / taken).sum()), float(ranked.sum()))


def _roc_auc(score: Floats, p: Floats, _: float) -> float:
    """Expected pairs (positive, negative) in the right order, ties half, over expected pairs; no row meets itself."""
    order, last = descending(score)
    ranked = p[order]
    ends = np.flatnonzero(last)
    positives = np.diff(np.cumsum(ranked)[ends], prepend=0.0)
    negatives = np.diff(np.cumsum(1 - ranked)[ends], prepend=0.0)
    itself = np.diff(np.cumsum(ranked * (1 - ranked))[ends], prepend=0.0)
    below = negatives.sum() - np.cumsum(negatives)
    right = positives * below + 0.5 * (positives * negatives - itself)
    return _over(float(right.sum()), float(positives.sum() * negatives.sum() - itself.sum()))


def _brier(score: Floats, p: Floats, _: float) -> float:
    return float((p * (1 - score) ** 2 + (1 - p) * score**2).mean())


def _log_loss(score: Floats, p: Floats, _: float) -> float:
    kept = np.clip(score, _EDGE, 1 - _EDGE)
    return float(-(p * np.log(kept) + (1 - p) * np.log1p(-kept)).mean())


def _precision(score: Floats, p: Floats, threshold: float) -> float:
    said = score >= threshold
    return _over(float(p[said].sum()), float(said.sum()))


def _recall(score: Floats, p: Floats, threshold: float) -> float:
    return _over(float(p[score >= threshold].sum()), float(p.sum()))


def _f1(score: Floats, p: Floats, threshold: float) -> float:
    said = score >= threshold
    return _over(2 * float(p[said].sum()), float(said.sum() + p.sum()))


def _accuracy(score: Floats, p: Floats, threshold: float) -> float:
    return float(np.where(score >= threshold, p, 1 - p).mean())


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else float("nan")


_RULES: dict[str, Callable[[Floats, Floats, float], float]] = {
    "average_precision": _average_precision,
    "roc_auc": _roc_auc,
    "brier": _brier,
    "log_loss": _log_loss,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "accuracy": _accuracy,
}
