"""Vectors as explainers take them: without gaps. A missing number is a value above all that occur, and back again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gaps:
    """Where numbers are missing, by column: the value that stands for one, and the bound above which it does.

    Both are infinite in a column without gaps. The value lies above what the row and the background hold.
    """

    stand_in: Floats
    bound: Floats

    @staticmethod
    def of(rows: Floats) -> Gaps:
        """The gaps of [n x features], all that will be looked at."""
        gaps = np.isnan(rows).any(axis=0)
        largest = np.where(np.isnan(rows), -np.inf, rows).max(axis=0)
        largest = np.where(np.isfinite(largest), largest, 0.0)
        stand_in = largest + 1 + np.abs(largest)
        return Gaps(np.where(gaps, stand_in, np.inf), np.where(gaps, (largest + stand_in) / 2, np.inf))

    def fill(self, rows: Floats) -> Floats:
        """[n x features] without gaps."""
        return np.where(np.isnan(rows), self.stand_in, rows)

    def restore(self, rows: Floats) -> Floats:
        """[n x features] with its gaps."""
        return np.where(rows > self.bound, np.nan, rows)

    def is_gap(self, column: int, value: float) -> bool:
        """Whether a value of a column stands for a missing one."""
        return bool(value > self.bound[column])
