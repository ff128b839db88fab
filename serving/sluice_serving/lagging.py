"""A stretch of events whose state updates lag behind the questions, and what history says about it."""

from __future__ import annotations

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

    The events are asked about at their arrival and delivered at `applied`.

    Args:
        before: events of earlier times. events: what `lagging` gave. labels: the label stream.
    """
    known = events.with_columns(arrival=pl.col(APPLIED)).select(before.columns)
    seen = pl.concat([before, known]).sort("event_time", "event_id")
    return feature_rows(use_case, seen, labels, questions=events.select(before.columns), root=root)
