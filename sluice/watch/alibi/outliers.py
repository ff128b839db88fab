"""An outlier score for each row: alibi-detect's isolation forest (Liu, Ting and Zhou 2008) over the reference."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.features.schema import FeatureSchema

Floats = npt.NDArray[np.float64]


class Outliers:
    """A forest made from half of the reference's rows; the other half says where outliers begin.

    The threshold is the value above which, of rows that could be exchanged with those of the other half, a share of at
    most `rate` lies (split conformal prediction, Papadopoulos et al. 2002), whatever the forest is like.

    Args:
        reference: [n x features] as a graph takes them; NaN where a number is missing.
        settings: of `watch.online.outliers`.
    """

    def __init__(self, schema: FeatureSchema, reference: Floats, settings: Mapping[str, Any], seed: int) -> None:
        self._above, self.usual = _above(reference), _usual(schema, reference)
        order = np.random.default_rng(seed).permutation(len(reference))
        fitted, held = np.array_split(self._filled(reference)[order], 2)
        self._forest = _forest(settings, min(int(settings["sample"]), len(fitted)), seed)
        self._forest.fit(fitted)
        scores = np.sort(self._forest.score(held))
        place = math.ceil((len(scores) + 1) * (1 - float(settings["rate"])))
        self.threshold = float(scores[place - 1]) if place <= len(scores) else math.inf

    def score(self, rows: Floats) -> Floats:
        """Scores [n] of rows [n x features]: the higher the lonelier; above `threshold` a row is an outlier."""
        return np.asarray(self._forest.score(self._filled(rows)), dtype=np.float64)

    def most_unusual(self, rows: Floats) -> list[int]:
        """For each row [n x features] the feature without whose value it would be least of an outlier.

        One value at a time is replaced by the usual one: a number's median, a category's most frequent value.
        """
        count, width = rows.shape
        changed = np.repeat(rows, width, axis=0)
        changed[np.arange(count * width), np.tile(np.arange(width), count)] = np.tile(self.usual, count)
        return [int(i) for i in self.score(changed).reshape(count, width).argmin(axis=1)]

    def _filled(self, rows: Floats) -> Floats:
        """Without gaps: a missing number is larger than all of the reference."""
        largest = float(np.finfo(np.float32).max)
        return np.clip(np.where(np.isnan(rows), self._above, rows), -largest, largest)


def _forest(settings: Mapping[str, Any], sample: int, seed: int) -> Any:
    # Imported here: it costs seconds, and the threshold's text at each start.
    from alibi_detect.od import IForest

    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    forest = IForest(n_estimators=int(settings["trees"]), max_samples=sample)
    # The library has no seed of its own.
    forest.isolationforest.set_params(random_state=seed)
    return forest


def _above(rows: Floats) -> Floats:
    largest = np.where(np.isfinite(rows), rows, -np.inf).max(axis=0)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    return largest + 1 + np.abs(largest)


def _usual(schema: FeatureSchema, rows: Floats) -> Floats:
    found = []
    for i, column in enumerate(schema.columns):
        present = rows[~np.isnan(rows[:, i]), i]
        if not len(present):
            found.append(np.nan)
        elif column.kind == "category":
            values, counts = np.unique(present, return_counts=True)
            found.append(float(values[counts.argmax()]))
        else:
            found.append(float(np.median(present)))
    return np.array(found)
