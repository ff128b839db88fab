"""The detectors' figures for the worlds of `bench/drift_worlds.py`, in the environment of alibi-detect.

    python bench/drift_distances.py FOLDER NAME     # seeds' folders; those that hold a file NAME are left out

A look takes the last window of whole days, as the monitor does, each day anew. Windows drawn from the reference depend
on the weekdays of the window alone; a window of whole weeks has them all, so what is usual is the same at every look
and is computed once.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drift_windows import windows

from sluice.features.schema import FeatureSchema
from sluice.watch.alibi.columns import categories
from sluice.watch.alibi.comparison import Comparison
from sluice.watch.alibi.detectors import TwoSamples, feature_tests
from sluice.watch.alibi.drift import told_apart
from sluice.watch.alibi.faults import fault_of

ONE = {"draws": 1}
"""Windows to draw where only the tested window's distances are wanted."""


def main(folder: Path, name: str) -> None:
    """All seeds."""
    warnings.simplefilter("ignore")
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    for each in sorted(folder.iterdir()):
        if (each / "request.json").exists() and not (each / name).exists():
            found = json.dumps(distances(each))
            (each / name).write_text(found)
            print(f"{each.name}: distances", flush=True)


def distances(folder: Path) -> dict[str, Any]:
    """Of drawn windows, and of each look at each world."""
    request = json.loads((folder / "request.json").read_text())
    assert request["length"] % 7 == 0, "a window of whole weeks"
    schema = FeatureSchema.from_document(request["schema"])
    reference = pl.read_parquet(folder / "reference.parquet")
    found: list[list[dict[str, Any]]] = []
    drawn: dict[str, Any] | None = None
    for number in range(len(request["worlds"])):
        looks = []
        for window in windows(folder, request, number):
            if drawn is None:
                drawn = _drawn(Comparison(schema, reference, window, request["settings"], request["seed"]))
            looks.append(look(Comparison(schema, reference, window, request["settings"] | ONE, request["seed"])))
        found.append(looks)
    return {**request, "drawn": drawn, "looks": dict(zip(request["worlds"], found, strict=True))}


def _drawn(pair: Comparison) -> dict[str, Any]:
    """Distances of drawn windows: features and score [draws x (features + 1)], and the classifier's [draws]."""
    return {"marginals": pair.marginals()[0].tolist(), "classifier": told_apart(pair).tolist()}


def look(pair: Comparison) -> dict[str, Any]:
    """One window: the same distances, p-values of rows taken for independent, and whether a column is broken."""
    reference, window = pair.x
    tests = feature_tests(reference, window, categories(pair.schema), float(pair.settings["alarm_rate"]))
    limits, names = pair.settings["fault"], pair.schema.names
    return {
        "marginals": pair.marginals()[1].tolist(),
        "classifier": TwoSamples(pair.settings["classifier"], pair.seed).distance(reference, window),
        "p_values": np.asarray(tests["p_values"]).tolist(),
        "threshold": tests["threshold"],
        "broken": any(fault_of(pair.reference[name], pair.all[name], limits) for name in names),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
