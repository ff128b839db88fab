"""Card precision at k, as the Fraud Detection Handbook measures it (chapter 4, "Threshold-free metrics")."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sluice.errors import DataError
from sluice.evaluation.context import Context

Floats = npt.NDArray[np.float64]


def daily_card_precision(label: Floats, score: Floats, context: Context) -> tuple[npt.NDArray[np.int64], Floats]:
    """Days, and the card precision of each, in order of the days.

    A day looks at the cards not known as compromised before it: neither by a label that had arrived
    (`context.known`) nor because an earlier day's top k held them while compromised. Of its k highest by their
    highest score, the share with a positive that day; a day with fewer than k cards still divides by k.
    Among equal scores the lower entity code comes first.

    Raises:
        DataError: the context lacks days or entities.
    """
    if context.day is None or context.entity is None:
        raise DataError(
            "card_precision needs each row's day and entity", "set evaluation.card_precision and pass context_of(…)"
        )
    open_rows = np.ones(len(label), dtype=np.bool_) if context.known is None else ~context.known
    days, precision = np.unique(context.day), []
    found = np.zeros(int(context.entity.max(initial=-1)) + 1, dtype=np.bool_)
    for day in days:
        rows = np.flatnonzero((context.day == day) & open_rows)
        rows = rows[~found[context.entity[rows]]]
        entities, compromised = _top(context.entity[rows], label[rows], score[rows], context.k)
        found[entities[compromised]] = True
        precision.append(compromised.sum() / context.k)
    return days, np.array(precision, dtype=np.float64)


def _top(
    entity: npt.NDArray[np.int64], label: Floats, score: Floats, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    entities, code = np.unique(entity, return_inverse=True)
    best, hit = np.full(len(entities), -np.inf), np.zeros(len(entities))
    np.maximum.at(best, code, score)
    np.maximum.at(hit, code, label)
    top = np.argsort(-best, kind="stable")[:k]
    return entities[top], hit[top] == 1.0
