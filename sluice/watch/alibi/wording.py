"""Reasons in words: the value of a feature, what is usual, and what it does to the score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.features.schema import FIRST_KNOWN, MISSING, FeatureColumn

Floats = npt.NDArray[np.float64]


def shown(column: FeatureColumn, value: float) -> Any:
    """A value as JSON: a number, a category's text, or null for a missing one."""
    if column.kind == "category":
        code = int(value)
        return None if code == MISSING else column.vocabulary[code - FIRST_KNOWN] if code >= FIRST_KNOWN else "rare"
    return None if math.isnan(value) else float(value)


def said(column: FeatureColumn, value: float) -> str:
    """A value in words."""
    found = shown(column, value)
    return "missing" if found is None else in_figures(found) if isinstance(found, float) else str(found)


def in_figures(value: float) -> str:
    """A number as people read it: four digits, or whole thousands of them."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def usual(column: FeatureColumn, values: Floats) -> str:
    """What is usual: the median of a number, the most frequent value of a category."""
    if column.kind == "category":
        found, counts = np.unique(values, return_counts=True)
        return f"mostly {said(column, float(found[counts.argmax()]))}"
    present = values[~np.isnan(values)]
    return f"usually {in_figures(float(np.median(present)))}" if len(present) else "usually missing"


def effect_in_words(column: FeatureColumn, value: float, background: Floats, effect: float) -> str:
    """One reason of Shapley values."""
    verb = "raises" if effect > 0 else "lowers"
    return (
        f"{column.name} is {said(column, value)} ({usual(column, background)}): {verb} the score by {abs(effect):.4f}"
    )
