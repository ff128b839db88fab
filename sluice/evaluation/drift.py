"""How features moved between two tables: the population stability index and Kolmogorov-Smirnov's distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
BINS = 10
"""Quantile bins of the reference, the usual number for the index (Siddiqi 2006), and one for missing values."""
MOST_VALUES = 50
_EMPTY = 1e-4
"""Share given to an empty bin, so that its logarithm exists."""


def feature_drift(reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[str]) -> list[dict[str, Any]]:
    """One JSON document a feature, in the given order.

    Each holds `feature`, `kind` (number or category), `psi`, `ks` (numbers only), `mean_reference`, `mean_current`,
    `missing_reference`, `missing_current` (shares). Undefined figures are null.

    Args:
        reference, current: tables with the features' columns, for example train and test rows.
    """
    return [_category(n, reference, current) if reference.get_column(n).dtype == pl.String
            else _number(n, reference, current) for n in features]  # fmt: skip


def population_stability(reference: Floats, current: Floats) -> float:
    """PSI of two vectors of counts [bins]: the sum of (q - p) ln(q / p) over shares. 0.1 is small, 0.25 is much."""
    p, q = (np.maximum(counts / max(counts.sum(), 1), _EMPTY) for counts in (reference, current))
    return float(((q - p) * np.log(q / p)).sum())


def kolmogorov_smirnov(reference: Floats, current: Floats) -> float:
    """Largest distance of two samples' distribution functions; NaN where one is empty."""
    if not len(reference) or not len(current):
        return float("nan")
    reference, current = np.sort(reference), np.sort(current)
    both = np.concatenate([reference, current])
    below = [np.searchsorted(sample, both, side="right") / len(sample) for sample in (reference, current)]
    return float(np.abs(below[0] - below[1]).max())


def _number(name: str, reference: pl.DataFrame, current: pl.DataFrame) -> dict[str, Any]:
    samples, counts, missing = [], [], []
    for table in (reference, current):
        values = table.get_column(name).cast(pl.Float64).fill_null(float("nan")).to_numpy()
        samples.append(values[~np.isnan(values)])
        missing.append(len(values) - len(samples[-1]))
    edges = np.unique(np.quantile(samples[0], np.linspace(0, 1, BINS + 1)[1:-1])) if len(samples[0]) else np.empty(0)
    for sample, absent in zip(samples, missing, strict=True):
        # A bin ends with its quantile: a value that many rows share (0) is a bin by itself.
        place = np.searchsorted(edges, sample, side="left")
        counts.append(np.append(np.bincount(place, minlength=len(edges) + 1), absent).astype(np.float64))
    means = [_finite(sample.mean()) if len(sample) else None for sample in samples]
    return _document(name, "number", counts, means) | {"ks": _finite(kolmogorov_smirnov(*samples))}


def _category(name: str, reference: pl.DataFrame, current: pl.DataFrame) -> dict[str, Any]:
    columns = [table.get_column(name) for table in (reference, current)]
    kept = columns[0].drop_nulls().value_counts(sort=True).head(MOST_VALUES).get_column(name).to_list()
    counts = []
    for column in columns:
        known = [(column == value).sum() for value in kept]
        absent = column.null_count()
        counts.append(np.array([*known, len(column) - sum(known) - absent, absent], dtype=np.float64))
    return _document(name, "category", counts, [None, None]) | {"ks": None}


def _document(name: str, kind: str, counts: list[Floats], means: list[float | None]) -> dict[str, Any]:
    missing = [_finite(c[-1] / c.sum()) if c.sum() else None for c in counts]
    return {
        "feature": name,
        "kind": kind,
        "psi": population_stability(*counts),
        "mean_reference": means[0],
        "mean_current": means[1],
        "missing_reference": missing[0],
        "missing_current": missing[1],
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
