"""Values as whole numbers of their unit: one rounding for history and for requests."""

from __future__ import annotations

import numpy as np


def to_units(values: np.ndarray, unit: float) -> np.ndarray:
    """float64 [n] in natural units (12.34) to int64 [n] whole units of `unit` (0.01: 1234), halves to even."""
    return np.rint(np.asarray(values, dtype=np.float64) / unit).astype(np.int64)
