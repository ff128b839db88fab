"""Anchors: conditions that keep the decision the same, whatever the other features are (Ribeiro et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.features.schema import FIRST_KNOWN, FeatureColumn
from sluice.watch.alibi.explainers import AnchorTabular, PredictorCallError
from sluice.watch.alibi.shapley import drawn
from sluice.watch.alibi.vectors import Gaps
from sluice.watch.alibi.wording import in_figures, said, shown

Floats = npt.NDArray[np.float64]


class _Exact(AnchorTabular):  # type: ignore[misc]
    """alibi's, which tells its bounds in text of two decimals: here they are kept as they are."""

    bounds: dict[int, tuple[float, float]]

    def add_names_to_exp(self, explanation: dict[str, Any]) -> None:
        """Keep, by feature, above what and up to what it must lie; both the value itself for a category."""
        sampler, self.bounds = self.samplers[0], {}
        for index in explanation["feature"]:
            feature = int(self.enc2feat_idx[index])
            if index in self.cat_lookup:
                self.bounds[feature] = (float(self.cat_lookup[index]),) * 2
                continue
            cuts, bins = sampler.disc.lambdas[feature].keywords["qts"], self.ord_lookup[index]
            above, up_to = self.bounds.get(feature, (-np.inf, np.inf))
            if 0 in bins:
                up_to = min(up_to, float(cuts[max(bins)]))
            else:
                above = max(above, float(cuts[min(bins) - 1]))
            self.bounds[feature] = (above, up_to)
        super().add_names_to_exp(explanation)


def anchors(
    columns: tuple[FeatureColumn, ...],
    background: Floats,
    row: Floats,
    decide: Callable[[Floats], npt.NDArray[np.int64]],
    settings: Mapping[str, Any],
    *,
    reasons: int,
    seed: int,
) -> dict[str, Any]:
    """Explain the decision on one row [features] by background rows [n x features].

    Args:
        decide: [n x features] to class numbers [n].
        settings: of `explanations.anchors`.

    Returns:
        `precision`: share of drawn vectors within the conditions that get the same decision; `coverage`: share of rows
        within them; `anchor`: the conditions; `reasons`: the same in words.
    """
    chosen = drawn(background, int(settings["rows"]), seed)
    gaps = Gaps.of(np.vstack([chosen, row]))
    explainer = _explainer(columns, lambda v: decide(gaps.restore(np.asarray(v, dtype=np.float64))), seed)
    explainer.fit(gaps.fill(chosen))
    found = explainer.explain(
        gaps.fill(row[None])[0],
        threshold=float(settings["precision"]),
        delta=float(settings["delta"]),
        tau=float(settings["tolerance"]),
        batch_size=int(settings["batch"]),
        min_samples_start=int(settings["batch"]),
        coverage_samples=int(settings["coverage_samples"]),
        max_anchor_size=int(settings["most"]),
    )
    conditions = [_condition(columns[i], i, bounds, gaps) for i, bounds in explainer.bounds.items()]
    return {
        "precision": float(np.ravel(found.precision)[0]),
        "coverage": float(np.ravel(found.coverage)[0]),
        "anchor": conditions,
        "reasons": [
            {"feature": c["feature"], "value": shown(column, float(value)), "text": _reason(c, column, float(value))}
            for c in conditions[:reasons]
            for column, value in [_of(columns, row, c["feature"])]
        ],
    }


def _explainer(
    columns: tuple[FeatureColumn, ...], decide: Callable[[Floats], npt.NDArray[np.int64]], seed: int
) -> _Exact:
    try:
        return _Exact(
            decide,
            feature_names=[column.name for column in columns],
            categorical_names={i: list(map(str, range(c.cardinality))) for i, c in enumerate(columns) if c.cardinality},
            dtype=np.float64,
            seed=seed,
        )
    except PredictorCallError as error:
        # It calls the predictor once to see what comes back, and hides why that failed.
        raise error.__cause__ or error from None


def _condition(column: FeatureColumn, i: int, bounds: tuple[float, float], gaps: Gaps) -> dict[str, Any]:
    above, up_to = bounds
    if column.kind == "category":
        text = f"{column.name} is {said(column, above)}"
        known = column.vocabulary[int(above) - FIRST_KNOWN] if above >= FIRST_KNOWN else None
        return {"feature": column.name, "code": int(above), "is": known, "text": text}
    low, high = (f"{column.name} > {in_figures(above)}", f"{column.name} <= {in_figures(up_to)}")
    if gaps.is_gap(i, above):
        low = f"{column.name} is missing"
    parts = [low] * np.isfinite(above) + [high] * np.isfinite(up_to)
    limits = {"above": above if np.isfinite(above) else None, "up_to": up_to if np.isfinite(up_to) else None}
    return {"feature": column.name, **limits, "text": " and ".join(parts)}


def _reason(condition: Mapping[str, Any], column: FeatureColumn, value: float) -> str:
    return f"{condition['text']} (it is {said(column, value)})"


def _of(columns: tuple[FeatureColumn, ...], row: Floats, name: str) -> tuple[FeatureColumn, np.float64]:
    place = [column.name for column in columns].index(name)
    return columns[place], row[place]
