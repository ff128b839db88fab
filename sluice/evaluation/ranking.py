"""Weighted average precision and AUC over scores sorted once, so that resampling costs one pass a resample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_LANES = 8
"""Resamples that go through the rows together: their sums are one vector, measured six times as fast as one by one."""


def descending(score: npt.NDArray[np.floating]) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """The order of falling scores [n], and where a tie ends [n]: rows of one score are one step of the curve."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.empty(len(ranked), dtype=np.bool_)
    last[-1:] = True
    last[:-1] = ranked[1:] != ranked[:-1]
    return order.astype(np.int64), last


@njit(cache=True, nogil=True)
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
    drawn = np.empty((weights.shape[1], _LANES))
    taken, gained, positives, area = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for start in range(0, weights.shape[0], _LANES):
        _fill(drawn, weights, start)
        taken[:], gained[:], positives[:], area[:] = 0.0, 0.0, 0.0, 0.0
        waiting = False
        for i in range(len(label)):
            row = cluster[i]
            for k in range(_LANES):
                taken[k] += drawn[row, k]
            if label[i] > 0.0:
                waiting = True
                for k in range(_LANES):
                    gained[k] += drawn[row, k]
            if waiting and last[i]:
                waiting = False
                for k in range(_LANES):
                    if gained[k] > 0.0:
                        area[k] += gained[k] * (positives[k] + gained[k]) / taken[k]
                    positives[k] += gained[k]
                    gained[k] = 0.0
        for k in range(min(_LANES, weights.shape[0] - start)):
            result[start + k] = area[k] / positives[k] if positives[k] > 0.0 else np.nan
    return result


@njit(cache=True, nogil=True)
def roc_auc(label: Floats, last: npt.NDArray[np.bool_], cluster: Codes, weights: Floats) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties half; arguments as in `average_precision`."""
    result = np.empty(weights.shape[0])
    drawn = np.empty((weights.shape[1], _LANES))
    tied = np.empty((2, _LANES))
    positives, negatives, area = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for start in range(0, weights.shape[0], _LANES):
        _fill(drawn, weights, start)
        tied[:], positives[:], negatives[:], area[:] = 0.0, 0.0, 0.0, 0.0
        for i in range(len(label)):
            row, side = cluster[i], 1 if label[i] > 0.0 else 0
            for k in range(_LANES):
                tied[side, k] += drawn[row, k]
            if last[i]:
                for k in range(_LANES):
                    area[k] += tied[0, k] * (positives[k] + 0.5 * tied[1, k])
                    positives[k] += tied[1, k]
                    negatives[k] += tied[0, k]
                    tied[0, k] = tied[1, k] = 0.0
        for k in range(min(_LANES, weights.shape[0] - start)):
            pairs = positives[k] * negatives[k]
            result[start + k] = area[k] / pairs if pairs > 0.0 else np.nan
    return result


@njit(cache=True, nogil=True)
def _fill(drawn: Floats, weights: Floats, start: int) -> None:
    """The weights of the next resamples, one lane each, so that a cluster's lie side by side; 0 behind the last."""
    drawn[:] = 0.0
    for k in range(min(_LANES, weights.shape[0] - start)):
        for c in range(weights.shape[1]):
            drawn[c, k] = weights[start + k, c]
