"""From what a graph was given back to the values that tables hold: a category's code becomes its text again."""

from __future__ import annotations

import polars as pl

from sluice.features.schema import FIRST_KNOWN, MISSING, FeatureColumn

UNSEEN = "\0unseen"
"""Stands for a category's values outside of the vocabulary, which a graph does not tell apart."""


def decoded(column: FeatureColumn, value: pl.Expr) -> pl.Expr:
    """A column's values: Float32, or String for a category; null where one was missing.

    Args:
        value: the numbers and codes that the graph was given; null or NaN where one was missing.
    """
    if column.kind == "number":
        return value.cast(pl.Float32).fill_nan(None).alias(column.name)
    value = value.cast(pl.Float64).fill_nan(None)
    names = {float(FIRST_KNOWN + i): name for i, name in enumerate(column.vocabulary)}
    read = value.replace_strict(names, default=UNSEEN, return_dtype=pl.String)
    absent = value.is_null() | (value == MISSING)
    return pl.when(absent).then(None).otherwise(read).alias(column.name)
