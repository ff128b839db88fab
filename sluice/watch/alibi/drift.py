"""The task `drift`: a window of rows against the reference of the version that scored them.

In the folder: `reference.parquet`, `window.parquet`, `request.json` (`schema`, `settings` of `watch`, `seed`, `test`).
Written: `drift.json`, which `sluice.watch.drift` tells about; null where the request wants no
test.

One verdict, calibrated: the largest excess over what is usual, of all distances together, is compared with the same of
windows that were drawn from the reference (`days`): max-T of Westfall and Young (1993). alibi-detect's p-values stand
beside it; they take rows for independent, and a large window makes any of them small.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice import digests
from sluice.evaluation.drift import feature_drift
from sluice.features.schema import FeatureSchema
from sluice.steps import Progress
from sluice.watch.alibi.columns import SCORE, categories
from sluice.watch.alibi.comparison import Comparison, day_of
from sluice.watch.alibi.days import rows_of
from sluice.watch.alibi.detectors import TwoSamples, feature_tests
from sluice.watch.alibi.faults import fault_of
from sluice.watch.alibi.judging import Judged, judged

Floats = npt.NDArray[np.float64]


def run(folder: Path, into: Path, progress: Progress) -> None:
    """Do the task over `folder`."""
    request = json.loads((folder / "request.json").read_text())
    (into / "drift.json").write_bytes(digests.canonical_json(_found(folder, request, progress)))


def _found(folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any] | None:
    if not request["test"]:
        return None
    reference, window = (pl.read_parquet(folder / f"{name}.parquet") for name in ("reference", "window"))
    schema = FeatureSchema.from_document(request["schema"])
    return compared(Comparison(schema, reference, window, request["settings"], request["seed"]), progress)


def compared(pair: Comparison, progress: Progress) -> dict[str, Any]:
    """The document that is written. Two families of distances have half of the alarm rate each."""
    rate, least = float(pair.settings["alarm_rate"]), float(pair.settings["min_distance"])
    progress("features", 0, 2)
    marginals = judged(*pair.marginals(), rate / 2, least)
    progress("all features together", 1, 2)
    together = judged(*_together(pair), rate / 2, least)
    features = _features(pair, marginals, rate)
    score = feature_drift(pair.reference.filter(pl.Series(pair.held_out())), pair.all, [SCORE])[0]
    moved = bool(marginals.moved.any() or together.moved.any())
    return {
        "format": 1,
        "verdict": "data-fault" if any(f["fault"] for f in features) else "drift" if moved else "quiet",
        "p_value": min(1.0, 2 * min(marginals.p_value, together.p_value)),
        "alarm_rate": rate,
        "rows": {"reference": pair.reference.height, "window": pair.all.height, "compared": pair.window.height},
        "days": {"reference": len(pair.days), "window": len(np.unique(day_of(pair.all)))},
        "features": features,
        "score": score | marginals.document(len(features)),
        "classifier": together.document(0),
    }


def _features(pair: Comparison, marginals: Judged, rate: float) -> list[dict[str, Any]]:
    tests = feature_tests(pair.x[0], pair.x[1], categories(pair.schema), rate)
    names = pair.schema.names
    return [
        figure
        | marginals.document(i)
        | {"p_value": tests["p_values"][i], "discovered": tests["p_values"][i] < tests["threshold"]}
        | {"fault": fault_of(pair.reference[name], pair.all[name], pair.settings["fault"])}
        for i, (name, figure) in enumerate(zip(names, feature_drift(pair.reference, pair.all, names), strict=True))
    ]


def told_apart(pair: Comparison) -> Floats:
    """The classifier's distances of windows drawn from the reference, [draws]."""
    settings, reference = pair.settings["classifier"], pair.x[0]
    samples, drawn = TwoSamples(settings, pair.seed), pair.drawn[: int(settings["draws"])]
    place = pair.place[: len(reference)]
    return np.array(
        [samples.distance(reference[base], reference[part]) for part, base in rows_of(place, drawn, ~drawn)]
    )


def _together(pair: Comparison) -> tuple[Floats, Floats]:
    """The classifier's distances of drawn windows [draws x 1], and of the window [1]."""
    found = TwoSamples(pair.settings["classifier"], pair.seed).distance(*pair.x)
    return told_apart(pair)[:, None], np.array([found])
