"""Confidence sequences for a share or a bounded mean: bounds that hold at every look, while the share itself may move.

For a share of conditional means p_1 … p_n (any of which may depend on the past) and k hits in n requests,

    exp(λ k − n log(1 + p̄ (e^λ − 1))),   p̄ = (p_1 + … + p_n) / n,

is at most a product of terms with conditional mean 1, because log(1 + p (e^λ − 1)) is concave in p. A mixture of these
over a fixed grid of λ exceeds 1/α at any time with probability α at most (Ville's inequality), so the p̄ at which it
reaches 1/α bound the running mean at all times together: Robbins' method of mixtures, as in Howard, Ramdas, McAuliffe
and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (Annals of Statistics 49, 2021).
The mixture over λ, not over the share, is what allows the share to drift. "Hits" may be parts of one: for losses x
between 0 and 1, e^(λ x) lies below the chord 1 + x (e^λ − 1), so the same product bounds their mean (k is their sum).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counted = Sequence[float] | NDArray[np.int64] | NDArray[np.float64]
Levels = Sequence[float] | NDArray[np.float64]

_TILTS: NDArray[np.float64] = np.geomspace(0.02, 12.0, 40)
"""λ of the mixture, equal weights. Small ones serve large n, large ones rare hits: a tilt near log(q/p) is the best
against a share q where p was allowed; the grid loses at most log 40 of evidence against the best single one."""
_HALVINGS = 40


def lower_bounds(hits: Counted, requests: Counted, alpha: Levels) -> NDArray[np.float64]:
    """The smallest running means that the evidence allows, each one-sided at its `alpha`; 0 where nothing was hit.

    Args:
        hits, requests: [n], counts; hits may be sums of losses between 0 and 1.
        alpha: [n], levels.

    Raises:
        ValueError: `hits` are not within 0 … `requests`, or an alpha is not within (0, 1).
    """
    k, n, level = (np.asarray(values, dtype=np.float64) for values in (hits, requests, alpha))
    if np.any((k < 0) | (k > n)):
        raise ValueError(f"hits {k.tolist()} of requests {n.tolist()}")
    if np.any((level <= 0) | (level >= 1)):
        raise ValueError(f"alpha {level.tolist()} is not between 0 and 1")
    low, high = np.zeros_like(k), k / np.maximum(n, 1.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = _evidence(k, n, middle) >= -np.log(level)
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return np.where(k > 0, low, 0.0)


def upper_bounds(hits: Counted, requests: Counted, alpha: Levels) -> NDArray[np.float64]:
    """The largest running means that the evidence allows, each one-sided at its `alpha`; 1 without requests."""
    return 1.0 - lower_bounds(np.asarray(requests) - np.asarray(hits), requests, alpha)


def _evidence(
    hits: NDArray[np.float64], requests: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log of the mixture against running means of at most `shares`; falls as they grow."""
    terms = _TILTS * hits[:, None] - requests[:, None] * np.log1p(shares[:, None] * np.expm1(_TILTS))
    top = terms.max(axis=1)
    return np.asarray(top + np.log(np.exp(terms - top[:, None]).mean(axis=1)))
