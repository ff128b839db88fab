"""When a window lies farther away than windows of the reference do: max-T (Westfall and Young 1993)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Judged:
    """A family of distances of one window.

    Attributes:
        found, usual: the window's distances, and those that all but `rate` of drawn windows stay within together, [k].
        p_value: share of drawn windows whose largest excess is at least the window's, the window counted among them.
        moved: which distances lie beyond the usual and are not too small to matter, bool [k].
    """

    found: Floats
    usual: Floats
    p_value: float
    moved: npt.NDArray[np.bool_]

    def document(self, i: int) -> dict[str, float | bool]:
        """One distance."""
        return {"distance": float(self.found[i]), "usual": float(self.usual[i]), "moved": bool(self.moved[i])}


def scale(drawn: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation [k] over drawn windows' distances [draws x k]: what distances are measured by."""
    return drawn.mean(axis=0), np.maximum(drawn.std(axis=0), _SMALLEST)


def judged(drawn: Floats, found: Floats, rate: float, least: float = 0.0) -> Judged:
    """Judge distances [k] by those of drawn windows [draws x k].

    Each distance is measured by mean and standard deviation over the draws, so that all have one scale; a quiet window
    has one beyond the usual in at most `rate` of all cases, whatever the dependence among them. That holds as far as
    days are exchangeable; where neighbours are alike a short reference knows too little of what is usual, and distances
    below `least` are for nobody to act on.
    """
    mean, spread = scale(drawn)
    largest = ((drawn - mean) / spread).max(axis=1)
    excess = (found - mean) / spread
    p_value = float((1 + (largest >= excess.max()).sum()) / (1 + len(drawn)))
    # The value that makes the p-value at most `rate`: with too few draws there is none.
    allowed = int(rate * (1 + len(drawn))) - 1
    bound = np.sort(largest)[::-1][allowed] if allowed >= 0 else np.inf
    return Judged(found, mean + bound * spread, p_value, (excess > bound) & (found >= least))
