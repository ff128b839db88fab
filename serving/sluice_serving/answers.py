"""What the server says: V1 predictions and V2 tensors, made from the same scored rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np


@dataclass
class Scored:
    """Scored rows of one request, in its order.

    `scores` float32 [n] or [n, k]; `matrix` float32 [n, d]; `unknown` names entities a row, `stale` streams;
    `ahead` and `repeated` are bool [n].
    """

    event_id: list[str | None]
    scores: np.ndarray
    matrix: np.ndarray
    unknown: Sequence[tuple[str, ...]] = field(default_factory=list)
    stale: Sequence[tuple[str, ...]] = field(default_factory=list)
    ahead: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    repeated: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))


def joined(parts: list[Scored]) -> Scored:
    """Parts of one request put back together."""
    if len(parts) == 1:
        return parts[0]
    return Scored(
        [name for part in parts for name in part.event_id],
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.matrix for part in parts]),
        [names for part in parts for names in part.unknown],
        [names for part in parts for names in part.stale],
        np.concatenate([part.ahead for part in parts]),
        np.concatenate([part.repeated for part in parts]),
    )


@dataclass(frozen=True)
class Identity:
    """Who answers: the model's name, its version's digest, its feature and class names."""

    model: str
    version: str
    features: tuple[str, ...]
    classes: tuple[str, ...] = ()


def v1_answer(identity: Identity, scored: Scored, now: datetime) -> dict[str, Any]:
    """The V1 document: one object a row under `predictions`, and who answered when beside it."""
    rows = zip(
        scored.event_id,
        scored.scores.tolist(),
        numbers(scored.matrix),
        scored.unknown,
        scored.stale,
        scored.ahead.tolist(),
        scored.repeated.tolist(),
        strict=True,
    )
    predictions = [
        {
            "event_id": event_id,
            "score": score,
            "features": features,
            "unknown": unknown,
            "stale": stale,
            "ahead": ahead,
            "repeated": repeated,
        }
        for event_id, score, features, unknown, stale, ahead, repeated in rows
    ]
    if identity.classes:
        for prediction in predictions:
            prediction["class"] = identity.classes[int(np.argmax(prediction["score"]))]
    return {
        "predictions": predictions,
        "model_name": identity.model,
        "model_version": identity.version,
        "feature_names": identity.features,
        "time": timestamp(now),
    }


def numbers(matrix: np.ndarray) -> list[list[float | None]]:
    """float32 [n, d] as lists whose numbers read back to the same bits; missing and infinite ones are null."""
    rows: list[list[float | None]] = matrix.tolist()
    if np.isfinite(matrix).all():
        return rows
    return [[value if value is not None and math.isfinite(value) else None for value in row] for row in rows]


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
