"""A column that is broken rather than changed: not there, one value for all, or in another unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl


def fault_of(reference: pl.Series, window: pl.Series, limits: Mapping[str, float]) -> str | None:
    """What is wrong with a feature's values, in words; None: nothing that these limits know.

    Args:
        limits: `missing`, `constant`, `outside`, as the settings' `watch.fault` says.
    """
    missing = [_missing(column) for column in (reference, window)]
    if missing[1] - missing[0] > limits["missing"]:
        return f"{missing[1]:.0%} are missing, {missing[0]:.0%} were"
    kept = [_present(column) for column in (reference, window)]
    if not len(kept[0]) or not len(kept[1]):
        return None
    top: Any = kept[1].mode().sort()[0]
    most: Any = kept[0].value_counts().get_column("count").max()
    share, usual = int((kept[1] == top).sum()) / len(kept[1]), most / len(kept[0])
    if share - usual > limits["constant"]:
        return f"{share:.0%} are {top!s}; no value had more than {usual:.0%}"
    if kept[0].dtype == pl.String:
        return None
    low: Any = kept[0].min()
    high: Any = kept[0].max()
    outside = float(np.mean((kept[1].to_numpy() < low) | (kept[1].to_numpy() > high)))
    if outside > limits["outside"]:
        return f"{outside:.0%} lie outside of {low:g} to {high:g}"
    return None


def _present(column: pl.Series) -> pl.Series:
    column = column.drop_nulls()
    return column if column.dtype == pl.String else column.drop_nans()


def _missing(column: pl.Series) -> float:
    return 1 - len(_present(column)) / max(len(column), 1)
