"""What one writes first: Kolmogorov and Smirnov's test of each feature, the whole window against the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drift_windows import windows
from scipy.stats import ks_2samp


def smallest_p_values(folder: Path, request: dict[str, Any]) -> dict[str, list[float]]:
    """By world, of each look the smallest p-value of all features, as if rows were independent."""
    reference = pl.read_parquet(folder / "reference.parquet")
    names = [column["name"] for column in request["schema"]["columns"]]
    return {
        world: [
            min(_p_value(reference[name], window[name]) for name in names) for window in windows(folder, request, i)
        ]
        for i, world in enumerate(request["worlds"])
    }


def _p_value(reference: pl.Series, window: pl.Series) -> float:
    """Of the numbers that are there."""
    samples = [column.drop_nulls().drop_nans().to_numpy() for column in (reference, window)]
    return float(ks_2samp(*samples, method="asymp").pvalue) if all(map(np.size, samples)) else 1.0
