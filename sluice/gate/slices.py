"""No slice may pay for the others: a drop beyond the allowed one that chance does not explain is a refusal."""

from __future__ import annotations

import numpy as np

from sluice.evaluation.slices import Part
from sluice.gate.statistics import Measure, compare
from sluice.gate.verdict import Check, Figure
from sluice.settings import UseCase


def slice_check(
    use_case: UseCase,
    parts: list[Part],
    measure: Measure,
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    against: str,
    seed: int,
) -> Check:
    """Every slice with enough rows: not worse by more than `gate.max_slice_drop` unless by chance.

    A loss (less is better) may grow by that share of the rival's own, as its size is that of the label or of the base
    rate; a score (more is better) may drop by that much.

    "By chance" is judged at alpha over all slices together (Bonferroni), so that an equal challenger is refused here
    in at most alpha of all cases however many slices are looked at.
    """
    gate = use_case.gate
    parts = [part for part in parts if part.mask.sum() >= gate.min_slice_rows]
    figures: dict[str, Figure] = {"slices": len(parts), "against": against}
    broken: list[str] = []
    worst, where = np.inf, ""
    for part in parts:
        name, mask = f"{part.column} {part.value}", part.mask
        inside = measure.take(mask)
        gain = _gain(inside, ours[mask], theirs[mask])
        if np.isnan(gain):
            continue
        figures[name] = float(gain)
        if gain < worst:
            worst, where = float(gain), name
        if gain < -gate.max_slice_drop and _shown(use_case, inside, ours[mask], theirs[mask], len(parts), seed=seed):
            broken.append(f"{name} loses {-gain:.4f}")
    text = _said(broken, len(parts), against, gate.max_slice_drop, f"{where}, {worst:+.4f}" if where else "")
    return Check("slices", not broken, text, figures, gate.max_slice_drop)


def _gain(part: Measure, ours: np.ndarray, theirs: np.ndarray) -> float:
    """How much better we are, of a loss as a share of theirs; NaN where the metric is undefined."""
    one, other = part.value(ours), part.value(theirs)
    if part.sign > 0 or other == 0:
        return part.sign * (one - other)
    return (other - one) / other


def _said(broken: list[str], slices: int, against: str, allowed: float, worst: str) -> str:
    if broken:
        return f"against {against}: {', '.join(broken)} (allowed {allowed:g})"
    if not worst:
        return "no slice has rows enough to be judged by itself"
    return f"none of {slices} slices is shown to lose more than {allowed:g} against {against}; the worst is {worst}"


def _shown(use_case: UseCase, part: Measure, ours: np.ndarray, theirs: np.ndarray, slices: int, *, seed: int) -> bool:
    alpha, resamples = use_case.gate.alpha / slices, use_case.evaluation.bootstrap.resamples
    return compare(part, theirs, ours, alpha=alpha, resamples=resamples, seed=seed).p_value <= alpha
