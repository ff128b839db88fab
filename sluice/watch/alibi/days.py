"""What is usual: windows drawn from the reference by whole days, compared with its other days.

Rows of a day stand and fall together (a holiday, a terminal that was taken over), so a window of many rows is not many
independent ones, and a test that believes so finds drift in every quiet week. A drawn window has the days of the week
that the tested one has; how far such windows lie from the rest of the reference is how far a quiet one may lie.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sluice.errors import WatchError

Days = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.float64]
WEEK = 7
_CELLS = 4_000_000
"""Drawn windows are compared in blocks of so many counts."""


def draw_windows(reference: Days, window: Days, draws: int, random: np.random.Generator) -> Mask:
    """Which of the reference's days are in each drawn window, bool [draws x days].

    Days of the same weekday where the reference has more of them than the window needs, else any days.

    Args:
        reference, window: their days, as numbers since 1970, each once.

    Raises:
        WatchError: the reference has too few days to draw windows of this length.
    """
    if len(reference) < len(window) + 2:
        raise WatchError(
            f"a window of {len(window)} days cannot be judged by a reference of {len(reference)}",
            "test fewer days at a time, or train with a longer watch.reference",
        )
    drawn = np.zeros((draws, len(reference)), dtype=bool)
    for weekday, needed in zip(*np.unique(window % WEEK, return_counts=True), strict=True):
        same = reference % WEEK == weekday
        drawn |= _some(np.broadcast_to(same, drawn.shape), np.full(draws, min(needed, max(same.sum() - 1, 0))), random)
    return drawn | _some(~drawn, len(window) - drawn.sum(axis=1), random)


def base_days(drawn: Mask, count: int, random: np.random.Generator) -> Mask:
    """`count` of the days outside of each drawn window (fewer where there are not so many), bool [draws x days]."""
    return _some(~drawn, np.full(len(drawn), count), random)


def _some(allowed: Mask, counts: Days, random: np.random.Generator) -> Mask:
    """In each row as many of the allowed places as `counts` [rows] says, drawn at random, bool [rows x places]."""
    order = np.where(allowed, random.random(allowed.shape), np.inf).argsort(axis=1).argsort(axis=1)
    return np.asarray((order < counts[:, None]) & allowed)


def counts_by_day(values: npt.NDArray[np.float32], place: npt.NDArray[np.int64], days: int) -> Counts:
    """Rows of each day that have each of the values that occur, in the values' order: [days x values]."""
    _, codes = np.unique(values, return_inverse=True)
    width = int(codes.max()) + 1
    return np.bincount(place * width + codes, minlength=days * width).reshape(days, width).astype(np.float64)


def distances(counts: Counts, windows: Mask, bases: Mask, *, ordered: bool) -> npt.NDArray[np.float64]:
    """How far each window lies from its base, [windows]: Kolmogorov and Smirnov's distance of ordered values, of others
    the square root of the chi-squared statistic of the two-row table over its rows (Cramér's V)."""
    distance = kolmogorov_smirnov if ordered else cramer
    block = max(1, _CELLS // counts.shape[1])
    parts = [
        distance(windows[i : i + block].astype(np.float64) @ counts, bases[i : i + block].astype(np.float64) @ counts)
        for i in range(0, len(windows), block)
    ]
    return np.concatenate(parts)


def kolmogorov_smirnov(window: Counts, base: Counts) -> npt.NDArray[np.float64]:
    """The largest distance of the distribution functions of counts [n x values] over ordered values, [n]."""
    shares = [c.cumsum(axis=1) / np.maximum(c.sum(axis=1, keepdims=True), 1) for c in (window, base)]
    return np.asarray(np.abs(shares[0] - shares[1]).max(axis=1))


def cramer(window: Counts, base: Counts) -> npt.NDArray[np.float64]:
    """Cramér's V of the tables [2 x values] of two rows of counts [n x values], [n]; 0: alike, 1: nothing shared."""
    total, rows = window + base, window.sum(axis=1) + base.sum(axis=1)
    squares = np.zeros(len(window))
    for counts in (window, base):
        expected = total * (counts.sum(axis=1) / np.maximum(rows, 1))[:, None]
        squares += np.divide((counts - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0).sum(1)
    return np.asarray(np.sqrt(squares / np.maximum(rows, 1)))


def rows_of(place: npt.NDArray[np.int64], drawn: Mask, bases: Mask) -> Iterator[tuple[Days, Days]]:
    """Positions of the rows in each window and in its base."""
    for window, base in zip(drawn, bases, strict=True):
        yield np.flatnonzero(window[place]), np.flatnonzero(base[place])
