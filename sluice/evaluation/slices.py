"""Parts of the rows that are looked at by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.errors import DataError
from sluice.settings import UseCase
from sluice.settings.judging import Slice

MOST_VALUES = 20
"""A column without bounds is cut into its most frequent values, this many at most, and `other`."""


@dataclass(frozen=True)
class Part:
    """Rows whose `column` has one value or lies between two bounds; `mask` is bool [rows]."""

    column: str
    value: str
    mask: npt.NDArray[np.bool_]


def slices_of(use_case: UseCase, rows: pl.DataFrame) -> list[Part]:
    """The occupied parts of every slice of the settings, each column's parts in order.

    Raises:
        DataError: the rows lack a slice's column.
    """
    return [part for settings in use_case.evaluation.slices for part in _cut(settings, rows)]


def _cut(settings: Slice, rows: pl.DataFrame) -> Iterator[Part]:
    if settings.column not in rows.columns:
        raise DataError(
            f"evaluation.slices: the rows have no column {settings.column!r}",
            f"make it a feature (features.request, kind: value), or choose one of {', '.join(rows.columns)}",
        )
    names, order = _between(settings, rows) if settings.bounds else _by_value(rows.get_column(settings.column))
    for value in order:
        mask = (names == value).to_numpy().astype(np.bool_)
        if mask.any():
            yield Part(settings.column, value, mask)


def _between(settings: Slice, rows: pl.DataFrame) -> tuple[pl.Series, list[str]]:
    bounds = sorted(settings.bounds)
    order = [f"below {bounds[0]:g}"]
    order += [f"{low:g} to {high:g}" for low, high in pairwise(bounds)]
    order += [f"from {bounds[-1]:g}", "missing"]
    values = rows.get_column(settings.column).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    place = np.where(np.isnan(values), len(bounds) + 1, np.searchsorted(bounds, values, side="right"))
    return pl.Series(np.array(order)[place]), order


def _by_value(column: pl.Series) -> tuple[pl.Series, list[str]]:
    if column.dtype.is_float():
        column = pl.Series([None if v is None else f"{v:g}" for v in column.to_list()], dtype=pl.String)
    names = column.cast(pl.String).fill_null("missing").alias("value")
    counts = names.value_counts(sort=True).sort("count", "value", descending=[True, False])
    kept = counts.get_column("value").head(MOST_VALUES)
    shown = pl.when(pl.col("value").is_in(kept.to_list())).then("value").otherwise(pl.lit("other"))
    return names.to_frame().select(shown).to_series(), [*sorted(kept, key=_natural), "other"]


def _natural(value: str) -> tuple[int, float, str]:
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)
