"""The checks on scores: sane, better than the ladder, better than the champion, calibrated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sluice.evaluation.metrics import metric
from sluice.gate.statistics import Comparison, Measure
from sluice.gate.verdict import Check


def sanity(name: str, score: np.ndarray, rows: int, task: str, classes: int) -> Check:
    """Scores are there for every row, finite, probabilities where they must be, and not all the same."""
    shape = (rows, classes) if task == "multiclass" else (rows,)
    figures: dict[str, float | int | str | bool | None] = {"rows": rows, "shape": str(list(score.shape))}
    if score.shape != shape:
        return Check("sane", False, f"{name} gives scores of shape {list(score.shape)}, not {list(shape)}", figures)
    bad = int((~np.isfinite(score)).sum())
    if bad:
        return Check("sane", False, f"{name} gives {bad} scores that are no finite numbers", {**figures, "bad": bad})
    if task != "regression" and ((score < 0).any() or (score > 1).any()):
        return Check("sane", False, f"{name} gives scores outside 0..1", figures)
    distinct = len(np.unique(score, axis=0))
    if distinct < 2:
        return Check("sane", False, f"{name} gives every row the same score", {**figures, "distinct": distinct}, 2)
    text = f"{rows} finite scores with {distinct} distinct values"
    return Check("sane", True, text, {**figures, "distinct": distinct}, 2)


def ladder(rungs: Sequence[tuple[str, Comparison]], alpha: float, champion: bool) -> list[Check]:
    """The challenger beats every simpler rung.

    All must be beaten, so each is tested at alpha: an intersection-union test needs no correction (Berger 1982).
    """
    if not rungs:
        text = "there is no simpler rung to beat" + (": the champion decides" if champion else ", and no champion")
        return [Check("ladder", champion, text)]
    return [_beats("ladder", f"rung {name}", found, alpha, 0.0) for name, found in rungs]


def champion(name: str, found: Comparison, alpha: float, min_effect: float) -> Check:
    """Better than the champion at alpha, and not shown to be better by less than `min_effect`."""
    return _beats("champion", name, found, alpha, min_effect)


def _beats(check: str, name: str, found: Comparison, alpha: float, min_effect: float) -> Check:
    better, worth = found.p_value <= alpha, found.high >= min_effect
    figures: dict[str, float | int | str | bool | None] = {
        "against": name,
        "ours": found.ours,
        "theirs": found.theirs,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "p_swap": found.p_swap,
        "p_bootstrap": found.p_bootstrap,
        "standard_error": found.error,
        "clusters": found.clusters,
        "min_effect": min_effect,
    }
    said = f"{found.ours:.4f} against {name}'s {found.theirs:.4f}: {found.difference:+.4f}"
    span = f"{found.low:+.4f} to {found.high:+.4f}, p = {found.p_value:.4f}"
    if better and worth:
        text = f"better: {said} ({span})"
    elif better:
        text = f"better, but shown to be by less than the least effect worth it, {min_effect:g}: {said} ({span})"
    else:
        text = f"not shown to be better: {said} ({span}, allowed {alpha:g})"
    return Check(check, better and worth, text, figures, alpha)


def calibration(measure: Measure, score: np.ndarray, limit: float) -> Check:
    """A binary task's scores are probabilities: small calibration error, and worth more than always the base rate.

    Where positives are rare the calibration error is that of the many sure negatives, and hardly sees scores that are
    far too sure of the few others. The logarithmic score does: its skill over the share of positives (1 - log loss /
    entropy; Gneiting & Raftery 2007) is above 0 for every usable probability.
    """
    if measure.task != "binary":
        return Check("calibration", True, f"not asked of a {measure.task} task")
    error = metric("calibration_error", "binary", measure.label, score, context=measure.context)
    base = np.full(len(score), measure.label.mean())
    loss, entropy = (metric("log_loss", "binary", measure.label, s) for s in (score, base))
    skill = 1 - loss / entropy if entropy > 0 else float("nan")
    figures = {"calibration_error": error, "log_loss": loss, "log_loss_of_base_rate": entropy, "skill": skill}
    text = f"scores are off by {error:.4f} on average (allowed {limit:g})"
    if not skill > 0:
        text += f", and as probabilities worth less than the base rate (log loss {loss:.4f} against {entropy:.4f})"
    return Check("calibration", error <= limit and skill > 0, text, figures, limit)
