"""The latest outliers, each with the feature that makes it one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from sluice.features.schema import FeatureSchema
from sluice.watch.alibi.drift_metrics import DriftMetrics
from sluice.watch.alibi.outliers import Outliers
from sluice.watch.alibi.sliding import Row, instant
from sluice.watch.alibi.wording import shown


class FoundOutliers:
    """Scores rows, counts outliers, and keeps the latest `keep` of them."""

    def __init__(self, schema: FeatureSchema, outliers: Outliers, keep: int, metrics: DriftMetrics) -> None:
        self._schema, self._outliers, self._metrics = schema, outliers, metrics
        self._latest: deque[dict[str, Any]] = deque(maxlen=keep)
        self._scored = self._flagged = 0
        metrics.of(metrics.threshold).set(outliers.threshold)

    def look(self, rows: Sequence[tuple[str | None, Row]]) -> None:
        """Score rows with the ids of their events."""
        matrix = np.vstack([row.features for _, row in rows]).astype(np.float64)
        scores = self._outliers.score(matrix)
        observe = self._metrics.of(self._metrics.scores).observe
        for score in scores:
            observe(score)
        flagged = np.flatnonzero(scores > self._outliers.threshold)
        self._scored, self._flagged = self._scored + len(rows), self._flagged + len(flagged)
        self._metrics.of(self._metrics.outliers).inc(len(flagged))
        # What would be pushed out at once need not be looked at.
        shown_ones = flagged[-(self._latest.maxlen or 1) :]
        if len(shown_ones):
            unusual = self._outliers.most_unusual(matrix[shown_ones])
            for place, feature in zip(shown_ones, unusual, strict=True):
                name, row = rows[int(place)]
                self._latest.append(self._document(name, row, float(scores[place]), feature))

    def document(self) -> dict[str, Any]:
        """What was found since the start; the latest first."""
        return {
            "scored": self._scored,
            "flagged": self._flagged,
            "threshold": self._outliers.threshold,
            "outliers": list(reversed(self._latest)),
        }

    def _document(self, name: str | None, row: Row, score: float, feature: int) -> dict[str, Any]:
        column = self._schema.columns[feature]
        return {
            "event_id": name,
            "event_time": instant(row.time_us),
            "outlier_score": score,
            "score": row.score,
            "feature": column.name,
            "value": shown(column, float(row.features[feature])),
            "usual": shown(column, float(self._outliers.usual[feature])),
        }
