"""Weighted average precision and AUC over scores sorted once, so that resampling costs one pass a resample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def descending(score: npt.NDArray[np.floating]) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """The order of falling scores [n], and where a tie ends [n]: rows of one score are one step of the curve."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.empty(len(ranked), dtype=np.bool_)
    last[-1:] = True
    last[:-1] = ranked[1:] != ranked[:-1]
    return order.astype(np.int64), last


@njit(cache=True)
def average_precision(label: Floats, last: npt.NDArray[np.bool_], cluster: Codes, weights: Floats) -> Floats:
    """Sum over distinct scores of (recall gained) x precision, for each row of weights.

    Args:
        label: 0/1 in order of falling score, float64 [n].
        last: ends of ties [n].
        cluster: each row's cluster, int64 [n].
        weights: how often each cluster is drawn, float64 [resamples x clusters].

    Returns:
        float64 [resamples]; NaN where no positive is drawn.
    """
    result = np.empty(weights.shape[0])
    for r in range(weights.shape[0]):
        drawn = weights[r]
        positives = taken = gained = area = 0.0
        for i in range(len(label)):
            weight = drawn[cluster[i]]
            taken += weight
            gained += weight * label[i]
            if last[i]:
                if gained > 0.0:
                    area += gained * (positives + gained) / taken
                positives += gained
                gained = 0.0
        result[r] = area / positives if positives > 0.0 else np.nan
    return result


@njit(cache=True)
def roc_auc(label: Floats, last: npt.NDArray[np.bool_], cluster: Codes, weights: Floats) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties half; arguments as in `average_precision`."""
    result = np.empty(weights.shape[0])
    for r in range(weights.shape[0]):
        drawn = weights[r]
        positives = negatives = tied_positive = tied_negative = area = 0.0
        for i in range(len(label)):
            weight = drawn[cluster[i]]
            tied_positive += weight * label[i]
            tied_negative += weight * (1.0 - label[i])
            if last[i]:
                area += tied_negative * (positives + 0.5 * tied_positive)
                positives += tied_positive
                negatives += tied_negative
                tied_positive = tied_negative = 0.0
        pairs = positives * negatives
        result[r] = area / pairs if pairs > 0.0 else np.nan
    return result
