"""The checks on scores: sane, better than the ladder, better than the champion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sluice.gate.statistics import Comparison
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
