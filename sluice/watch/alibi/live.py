"""The monitor's judgement of a window that ends at any time of the day.

What is usual is known by whole days (`days`), so a window is whole days as well: those before its end. Days are cut at
the end's time of day, for window and reference alike, which makes the window's last day as whole as any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from sluice.errors import WatchError
from sluice.features.decoding import decoded
from sluice.features.schema import FeatureSchema
from sluice.watch.alibi.columns import SCORE
from sluice.watch.alibi.comparison import DAY_US, Comparison, day_of
from sluice.watch.alibi.sliding import Row

_MOST_MISSING_US = 3_600_000_000
"""A first or last day of the reference that lacks more than this is left out."""


def table_of(schema: FeatureSchema, rows: Sequence[Row]) -> pl.DataFrame:
    """`event_time` (UTC), the schema's features and `score` of rows, as the monitor takes them from the ledger."""
    matrix = np.vstack([row.features for row in rows]) if rows else np.empty((0, len(schema.names)), dtype=np.float32)
    table = pl.DataFrame(matrix, schema=dict.fromkeys(schema.names, pl.Float32), orient="row")
    times = pl.Series("event_time", [row.time_us for row in rows], dtype=pl.Int64)
    scores = pl.Series(SCORE, [row.score for row in rows], dtype=pl.Float32)
    features = [decoded(column, pl.col(column.name)) for column in schema.columns]
    return table.select(times.cast(pl.Datetime("us", "UTC")), *features, scores)


def comparison(
    schema: FeatureSchema, reference: pl.DataFrame, window: pl.DataFrame, settings: Mapping[str, Any], seed: int
) -> Comparison:
    """The whole days up to the latest row of the window, and the reference by days that end at the same time of day.

    Args:
        reference: what `sluice.watch.reference` keeps beside the version.
        window: what `table_of` gives, of `online.window` up to its latest row.
        settings: of `watch`.

    Raises:
        WatchError: the reference is too short.
    """
    end = int(window.get_column("event_time").dt.timestamp("us").max()) + 1  # type: ignore[arg-type]
    back = timedelta(microseconds=end % DAY_US)
    moved = [table.with_columns(pl.col("event_time") - back) for table in (reference, window)]
    known = _whole_days(moved[0])
    # Where the window has fewer rows a day than the reference, windows drawn from that have to have so few as well.
    wanted = round(window.height / len(np.unique(day_of(moved[1]))) * len(np.unique(day_of(known))))
    if wanted < known.height:
        known = known.sample(wanted, seed=seed).sort("event_time")
    return Comparison(schema, known, moved[1], dict(settings), seed)


def refuse_short(reference: pl.DataFrame, window_days: int) -> None:
    """Refuse a reference that cannot judge any window of so many days, however its days are cut.

    Raises:
        WatchError: it is too short.
    """
    found = len(np.unique(day_of(reference))) - 2
    if found < window_days + 2:
        raise WatchError(
            f"a window of {window_days} days cannot be judged by a reference of {found} whole days",
            "lower watch.online.window, or train with a longer watch.reference",
        )


def _whole_days(reference: pl.DataFrame) -> pl.DataFrame:
    """Without a first or a last day that is not whole."""
    times = reference.get_column("event_time").dt.timestamp("us").to_numpy()
    day = times // DAY_US
    first, last = int(times.min()), int(times.max())
    low = first // DAY_US + (first % DAY_US > _MOST_MISSING_US)
    high = last // DAY_US - (last % DAY_US < DAY_US - _MOST_MISSING_US)
    return reference.filter(pl.Series((day >= low) & (day <= high)))
