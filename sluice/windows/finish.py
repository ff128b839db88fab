"""From entries to the integers that are kept, and from those integers to features.

Sweep and tile state both go through here, and everything before the last division is an integer sum (or an
extreme), so the two agree bit for bit whatever the order of addition was. NumPy only: the server imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sluice.errors import FeatureError
from sluice.windows.definition import STATS_OF, StatKind, WindowView

NULL = np.iinfo(np.int64).min
"""A missing value among int64; also the maximum of nothing."""
NO_MINIMUM = np.iinfo(np.int64).max

LARGEST_VALUE = 2**40
"""A value's largest size in whole units: 2**22 of them may lie in one window before a sum leaves 64 bits."""
LARGEST_SQUARED = 2**31
"""The same where squares are summed; these are kept in two limbs of 32 bits."""
_LIMB = 32
_MICROSECONDS = 1e6


@dataclass(frozen=True)
class Finishing:
    """Aggregations of one function and column: where they stand, and over which of the view's widths."""

    function: str
    aggregations: tuple[int, ...]
    stats: tuple[tuple[StatKind, int], ...]
    widths: tuple[int, ...] | slice


@lru_cache(maxsize=256)
def finishings(view: WindowView) -> tuple[Finishing, ...]:
    """The view's aggregations grouped by function and column, so that widths are finished together."""
    position = {(stat.kind, stat.column): i for i, stat in enumerate(view.stats)}
    groups: dict[tuple[str, str], list[int]] = {}
    for i, a in enumerate(view.aggregations):
        groups.setdefault((a.function, a.column), []).append(i)
    return tuple(
        Finishing(
            function,
            tuple(members),
            tuple((kind, position[kind, column]) for kind in STATS_OF[function]),
            _run([view.widths.index(view.aggregations[i].window_us) for i in members]),
        )
        for (function, column), members in groups.items()
    )


def _run(places: list[int]) -> tuple[int, ...] | slice:
    """A slice where places follow one another, as it takes no copy."""
    run = slice(places[0], places[0] + len(places))
    return run if places == list(range(run.start, run.stop)) else tuple(places)


def contributions(view: WindowView, time: np.ndarray, sign: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What each entry adds to `view.stats`: int64 [stats x entries].

    Args:
        time: int64 [entries], microseconds since 1970.
        sign: int64 [entries], +1 or -1 (takes an earlier entry back).
        values: int64 [columns x entries] in whole units, `NULL` where missing.

    Raises:
        FeatureError: a value too large to be summed exactly.
    """
    there = values != NULL
    whole = np.where(there, values, 0)
    check_sizes(view, whole)
    out = np.empty((len(view.stats), time.shape[0]), dtype=np.int64)
    for i, (kind, column) in enumerate(_kept(view)):
        if kind == "count":
            np.multiply(there[column], sign, out=out[i])
        elif kind == "sum":
            np.multiply(whole[column], sign, out=out[i])
        elif kind == "squares_high":
            out[i] = (whole[column] ** 2 >> _LIMB) * sign
        elif kind == "squares_low":
            out[i] = (whole[column] ** 2 & (2**_LIMB - 1)) * sign
        elif kind == "last":
            out[i] = np.where(there[column], time, NULL)
        else:
            out[i] = np.where(there[column], values[column], NO_MINIMUM if kind == "min" else NULL)
    return out


@lru_cache(maxsize=256)
def _kept(view: WindowView) -> tuple[tuple[StatKind, int], ...]:
    return tuple((stat.kind, view.columns.index(stat.column)) for stat in view.stats)


def check_sizes(view: WindowView, whole: np.ndarray) -> None:
    """Refuse values whose sums could leave 64 bits: int64 [columns x entries], 0 where missing.

    Raises:
        FeatureError: naming the column, the value and the bound.
    """
    if not whole.size:
        return
    for column, size, value in zip(view.columns, np.abs(whole).max(axis=1).tolist(), whole, strict=True):
        bound = LARGEST_SQUARED if column in view.squared_columns else LARGEST_VALUE
        if size > bound and column in view.numeric_columns:
            raise too_large(view, column, int(value[np.abs(value).argmax()]), bound)


def too_large(view: WindowView, column: str, value: int, bound: int = LARGEST_VALUE) -> FeatureError:
    """The error for a value whose sums could leave 64 bits."""
    return FeatureError(
        f"windows of {view.name}: {column} holds {value} units, sums are exact up to {bound}",
        f"correct the value, or choose a coarser unit for {column} in data.columns.values",
    )


def finish(view: WindowView, stats: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The features of windows whose integers are known.

    Args:
        stats: int64 [stats x widths x questions], in the order of `view.stats` and `view.widths`.
        time: int64 [questions], the instants asked about.

    Returns:
        float64 [aggregations x questions]: count and sum 0 for an empty window, all else NaN; the standard
        deviation is that of the window's own values (population); time since last is in seconds.
    """
    out = np.empty((len(view.aggregations), time.shape[0]), dtype=np.float64)
    for group in finishings(view):
        parts = {kind: stats[at][group.widths,] for kind, at in group.stats}
        out[list(group.aggregations)] = finish_one(group.function, parts, time)
    return out


def finish_one(function: str, parts: Mapping[StatKind, np.ndarray], time: np.ndarray) -> np.ndarray:
    """One function over its integers, each int64 [… x questions]: float64 of the same shape."""
    if function == "count":
        return parts["count"].astype(np.float64)
    if function == "sum":
        return parts["sum"].astype(np.float64)
    if function == "mean":
        return _divide(parts["sum"], parts["count"])
    if function == "std":
        return _deviation(parts)
    if function == "time_since_last":
        last = parts["last"]
        return np.where(last == NULL, np.nan, (time - np.where(last == NULL, 0, last)) / _MICROSECONDS)
    kind: StatKind = "min" if function == "min" else "max"
    empty = NO_MINIMUM if kind == "min" else NULL
    return np.where(parts[kind] == empty, np.nan, parts[kind].astype(np.float64))


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    # 0 / 0 would do, but its NaN has other bits than the one that a null becomes.
    quotient: np.ndarray = above / np.where(below > 0, below, np.nan)
    return quotient


def _deviation(parts: Mapping[StatKind, np.ndarray]) -> np.ndarray:
    """Population standard deviation without cancellation: squares are taken around the whole unit next to the mean.

    `sum((v - c)**2) = squares - 2 c sum + n c**2` is exact modulo 2**64, hence exact where it is below 2**62;
    where it is not, the spread is so large that the same difference in float64 loses nothing that matters.
    """
    n, total = parts["count"], parts["sum"]
    mean = _divide(total, n)
    center = np.rint(np.where(n > 0, mean, 0.0)).astype(np.int64)
    rest = (total - n * center).astype(np.float64)
    exact = (parts["squares_high"] << _LIMB) + parts["squares_low"] - center * (2 * total - n * center)
    squares = parts["squares_high"].astype(np.float64) * 2.0**_LIMB + parts["squares_low"].astype(np.float64)
    rough = squares - center * (2.0 * total.astype(np.float64) - n * center.astype(np.float64))
    around = np.where(rough < 2.0**62, exact.astype(np.float64), rough)
    variance: np.ndarray = _divide(around - _divide(rest * rest, n), n)
    deviation: np.ndarray = np.sqrt(np.maximum(variance, 0.0))
    return deviation
