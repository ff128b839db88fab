"""What a version's answers are watched by: its reference, its settings, and the detectors rebuilt from them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.features.schema import MISSING, FeatureSchema, to_matrix
from sluice.payloads.bodies import Answer
from sluice.steps import silent
from sluice.watch.alibi.comparison import DAY_US
from sluice.watch.alibi.drift import compared
from sluice.watch.alibi.files import ONLINE, REFERENCE
from sluice.watch.alibi.live import comparison, refuse_short, table_of
from sluice.watch.alibi.outliers import Outliers
from sluice.watch.alibi.sliding import Row, SlidingSample


class Online:
    """One version's.

    Args:
        folder: what `sluice.watch.online.write_drift_server` wrote.

    Attributes:
        model, version: whose.
        settings: `every`, `pause`, `answer_within`, `clock_skew` (seconds), `queue`, `remember`, `keep`, `max_event`,
            `min_rows`, `days`, `rows`.
        schema, outliers: the version's features, and what scores their rows.

    Raises:
        OSError: the folder does not hold it. WatchError: the reference is too short.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        document = self._document()
        self.model, self.version = str(document["model"]), str(document["version"])
        self.settings: dict[str, Any] = document["settings"]
        self.schema = FeatureSchema.from_document(document["schema"])
        self._watch, self._seed = document["watch"], int(document["seed"])
        self._reference = pl.read_parquet(folder / document[REFERENCE])
        refuse_short(self._reference, int(self.settings["days"]))
        matrix = to_matrix(self.schema, self._reference).astype(np.float64)
        self.outliers = Outliers(self.schema, matrix, self._watch["online"]["outliers"], self._seed)

    def is_over(self) -> bool:
        """Whether the folder holds another version by now; one that cannot be read now does not say so."""
        try:
            return str(self._document()["version"]) != self.version
        except OSError:
            return False

    def _document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / ONLINE).read_text())
        return found

    @property
    def skew(self) -> timedelta:
        """How far ahead of ours a sender's clock may be."""
        return timedelta(seconds=self.settings["clock_skew"])

    def sample(self) -> SlidingSample:
        """An empty window."""
        return SlidingSample(int(self.settings["days"]) * DAY_US, int(self.settings["rows"]))

    def judged(self, rows: list[Row]) -> dict[str, Any]:
        """The document of a window of rows (`sluice.watch.drift.Drift.document`)."""
        pair = comparison(self.schema, self._reference, table_of(self.schema, rows), self._watch, self._seed)
        return compared(pair, silent)

    def holds(self, answer: Answer) -> bool:
        """Whether an answer tells the version's features."""
        return answer.features is not None and set(answer.names) == set(self.schema.names)

    def matrix(self, answer: Answer) -> np.ndarray:
        """float32 [rows x features] of such an answer in the schema's order; a category's gap is its code for that."""
        assert answer.features is not None
        found = answer.features[:, [answer.names.index(name) for name in self.schema.names]].astype(np.float32)
        kinds = [column.kind for column in self.schema.columns]
        gaps = np.array([MISSING if kind == "category" else np.nan for kind in kinds], dtype=np.float32)
        return np.where(np.isnan(found), gaps, found)
