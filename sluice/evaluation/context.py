"""What some metrics need besides label and score: days, entities already known as positive, threshold, quantiles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.settings import UseCase

DAY_US = 86_400 * 10**6


@dataclass(frozen=True)
class Context:
    """Per-row facts (all [n]) and settings that a metric may need.

    Attributes:
        day: int64, days since 1970-01-01 UTC of the event.
        entity: int64, code of card precision's entity.
        known: bool, whether the entity was known as positive before the row's day.
        k: rows (entities) a day that card precision looks at.
        threshold: scores from here on count as positive.
        quantiles: of the pinball loss.
        bins: of the calibration error.
    """

    day: npt.NDArray[np.int64] | None = None
    entity: npt.NDArray[np.int64] | None = None
    known: npt.NDArray[np.bool_] | None = None
    k: int = 100
    threshold: float = 0.5
    quantiles: tuple[float, ...] = field(default=(0.1, 0.5, 0.9))
    bins: int = 15

    def take(self, mask: npt.NDArray[np.bool_]) -> Context:
        """The context of the rows that a mask [n] keeps."""
        cut: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[mask] for name in _PER_ROW
        }
        return replace(self, **cut)


_PER_ROW = ("day", "entity", "known")


def context_of(
    use_case: UseCase, rows: pl.DataFrame, *, labels: pl.DataFrame | None = None, threshold: float = 0.5
) -> Context:
    """The context of rows (`event_time`, entity columns).

    Args:
        labels: the label stream, for who is known as positive; only card precision needs it. The caller cuts it:
            the handbook knows the frauds from the first training day on, not those before.
            Default: the labels of the rows themselves.
    """
    settings = use_case.evaluation
    day = rows.get_column("event_time").dt.timestamp("us").to_numpy() // DAY_US
    base = Context(day=day, threshold=threshold, quantiles=tuple(settings.quantiles), bins=settings.calibration_bins)
    if settings.card_precision is None:
        return base
    entity = settings.card_precision.entity
    source = rows if labels is None else labels
    known = np.zeros(rows.height, dtype=np.bool_)
    if {"label", "label_time"} <= set(source.columns):
        known = known_positive(rows, source, entity)
    codes = rows.get_column(entity).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    return replace(base, entity=codes, known=known, k=settings.card_precision.k)


def known_positive(rows: pl.DataFrame, labels: pl.DataFrame, entity: str) -> npt.NDArray[np.bool_]:
    """Which rows [n] belong to an entity that was known as positive before the row's UTC day began.

    This is the handbook's rule: with labels 7 days late, a card is out from the day after its first fraud's label
    arrived, hence 8 days after the fraud, and from the first test day if it had a fraud in the training week.
    A label that is corrected later changes nothing: the card had been acted upon.

    Args:
        rows: `event_time` and the entity's column.
        labels: `label`, `label_time` and the entity's column; what counts as known is cut by the caller.
    """
    first = (
        labels.filter((pl.col("label") == 1.0) & pl.col(entity).is_not_null())
        .group_by(entity)
        .agg(pl.col("label_time").min().alias("_known"))
    )
    joined = rows.select("event_time", entity).join(first, on=entity, how="left", maintain_order="left")
    known = joined.select((pl.col("_known") < pl.col("event_time").dt.truncate("1d")).fill_null(False)).to_series()
    return known.to_numpy().astype(np.bool_)
