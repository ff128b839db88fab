"""KernelSHAP: what each feature adds to a score, so that base and effects make the score (Lundberg and Lee 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.features.schema import FeatureColumn
from sluice.watch.alibi.explainers import KernelShap
from sluice.watch.alibi.vectors import Gaps
from sluice.watch.alibi.wording import effect_in_words, shown

Floats = npt.NDArray[np.float64]


def shapley(
    columns: tuple[FeatureColumn, ...],
    background: Floats,
    row: Floats,
    score: Callable[[Floats], Floats],
    settings: Mapping[str, Any],
    *,
    reasons: int,
    seed: int,
) -> dict[str, Any]:
    """Explain one row [features] by background rows [n x features].

    Args:
        score: [n x features] to [n].
        settings: `background` and `samples` of `explanations.kernel_shap`.

    Returns:
        `base` (the mean score of the background), `shap_values` by feature, and `reasons`: the largest, in words.
    """
    chosen = drawn(background, int(settings["background"]), seed)
    gaps = Gaps.of(np.vstack([chosen, row]))
    explainer = KernelShap(
        lambda vectors: score(gaps.restore(np.asarray(vectors, dtype=np.float64)))[:, None],
        feature_names=[column.name for column in columns],
        task="regression",
        seed=seed,
    )
    explainer.fit(gaps.fill(chosen))
    # A regularised fit would make small effects zero, and others too large for it.
    found = explainer.explain(gaps.fill(row[None]), nsamples=int(settings["samples"]), l1_reg=False, silent=True)
    effects = np.asarray(found.shap_values[0], dtype=np.float64).reshape(-1)
    largest = [int(i) for i in np.argsort(-np.abs(effects), kind="stable")[:reasons] if effects[i]]
    return {
        "base": float(np.ravel(found.expected_value)[0]),
        "shap_values": effects.tolist(),
        "reasons": [
            {
                "feature": columns[i].name,
                "value": shown(columns[i], float(row[i])),
                "effect": float(effects[i]),
                "text": effect_in_words(columns[i], float(row[i]), chosen[:, i], float(effects[i])),
            }
            for i in largest
        ],
    }


def drawn(rows: Floats, most: int, seed: int) -> Floats:
    """At most `most` of the rows, drawn with the seed."""
    if len(rows) <= most:
        return rows
    chosen: Floats = rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]
    return chosen
