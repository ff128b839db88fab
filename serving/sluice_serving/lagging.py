"""A stretch of events whose state updates lag behind the questions, and what history says about it."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from sluice.features.historical import feature_rows
from sluice.settings.use_case import UseCase

APPLIED = "applied"
"""When state learns of an event; without this column: when the event arrives, which is when it is asked about."""


def lagging(events: pl.DataFrame, longest: timedelta, seed: int) -> pl.DataFrame:
    """The same events with a column `applied`: their arrival and up to `longest` more (uniform)."""
    microseconds = longest // timedelta(microseconds=1)
    lag = np.random.default_rng(seed).integers(0, microseconds, events.height, endpoint=True)
    return events.with_columns((pl.col("arrival") + pl.Series(lag).cast(pl.Duration("us"))).alias(APPLIED))


def lagging_rows(
    use_case: UseCase, before: pl.DataFrame, events: pl.DataFrame, labels: pl.DataFrame, *, root: Path | None = None
) -> pl.DataFrame:
    """Offline feature rows of lagging events: the event itself, and of the others what was applied by then.

    Within one computation an event cannot be known to its own question and not yet to the next one of the same
    entity. So the questions are parted into groups in which no question falls into another's lag, and each group
    is a computation of its own in which its events arrive without lag.

    Args:
        before: events of earlier times. events: what `lagging` gave. labels: the label stream.
    """
    group = lag_groups(events, list(use_case.data.columns.entities))
    parts = []
    for number in np.unique(group):
        mine = pl.Series(group == number)
        arrival = pl.when(mine).then(pl.col("arrival")).otherwise(pl.col(APPLIED))
        known = events.with_columns(arrival=arrival).select(before.columns)
        seen = pl.concat([before, known]).sort("event_time", "event_id")
        parts.append(feature_rows(use_case, seen, labels, questions=known.filter(mine), root=root))
    order = np.argsort(np.concatenate([np.flatnonzero(group == number) for number in np.unique(group)]))
    return pl.concat(parts)[order]


def lag_groups(events: pl.DataFrame, entities: list[str]) -> np.ndarray:
    """int64 [n]: a number for each event, different for two of one entity where one is asked in the other's lag."""
    asked = events.get_column("arrival").cast(pl.Int64).to_list()
    applied = events.get_column(APPLIED).cast(pl.Int64).to_list()
    keys = [events.get_column(name).to_list() for name in entities]
    pending: dict[tuple[int, str], list[int]] = defaultdict(list)
    group = np.zeros(events.height, dtype=np.int64)
    for row in np.argsort(asked, kind="stable").tolist():
        taken: set[int] = set()
        for place, column in enumerate(keys):
            held = pending[place, column[row]]
            held[:] = [other for other in held if applied[other] > asked[row]]
            taken.update(int(group[other]) for other in held)
            held.append(row)
        group[row] = next(number for number in range(len(taken) + 1) if number not in taken)
    return group
