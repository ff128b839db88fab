"""From which score on a row counts as positive: chosen on validation rows, as the settings say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sluice.evaluation.metrics import checked
from sluice.evaluation.ranking import descending
from sluice.settings import UseCase

Floats = npt.NDArray[np.float64]


def choose_threshold(use_case: UseCase, label: Any, score: Any) -> float:
    """What `evaluation.threshold` asks for: the fixed score, or one that occurs; scores from it on are positive.

    `f1` takes the score with the highest F1; `precision` the lowest score from which on the target precision holds,
    hence the most recall; `recall` the highest score with at least the target recall. Where no score reaches the
    target precision, the one that comes closest. Ties go to the higher score.

    Args:
        label, score: [n], 0/1 and probability of the validation rows.
    """
    settings = use_case.evaluation.threshold
    if settings.by == "fixed":
        assert settings.value is not None
        return settings.value
    label, score = checked("average_precision", "binary", label, score)
    scores, precision, recall = curve(label, score)
    if settings.by == "f1":
        total = precision + recall
        f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
        return float(scores[np.argmax(f1)])
    assert settings.value is not None
    if settings.by == "recall":
        return float(scores[np.argmax(recall >= settings.value)])
    reached = np.flatnonzero(precision >= settings.value)
    return float(scores[reached[-1] if len(reached) else np.argmax(precision)])


def curve(label: Floats, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Distinct scores falling, and precision and recall when scores from each on count as positive: float64 [m]."""
    order, last = descending(score)
    hits, taken = np.cumsum(label[order])[last], np.flatnonzero(last) + 1.0
    return score[order][last], hits / taken, hits / max(hits[-1], 1.0) if len(hits) else hits
