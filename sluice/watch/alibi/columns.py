"""A table's columns as what detectors take: numbers with missing ones above all others, categories as codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.features.schema import FeatureColumn, FeatureSchema, encode

Matrix = npt.NDArray[np.float32]
SCORE = "score"


def matrices(schema: FeatureSchema, tables: Sequence[pl.DataFrame]) -> list[Matrix]:
    """One float32 [rows x features] a table. A missing number is a value above all that occur, the same everywhere."""
    columns = [_column(column, tables) for column in schema.columns]
    return [np.column_stack([column[i] for column in columns]) for i in range(len(tables))]


def scores(table: pl.DataFrame) -> Matrix:
    """The scores, float32 [rows]."""
    return table.get_column(SCORE).cast(pl.Float32).to_numpy()


def _column(column: FeatureColumn, tables: Sequence[pl.DataFrame]) -> list[Matrix]:
    series = [table.get_column(column.name) for table in tables]
    if column.kind == "category":
        return [encode(column, part.to_list()) for part in series]
    values = [part.cast(pl.Float32).fill_null(float("nan")).to_numpy() for part in series]
    present = np.concatenate([part[np.isfinite(part)] for part in values])
    above = np.float32(present.max() + 1 + abs(present.max())) if present.size else np.float32(1)
    return [np.where(np.isnan(part), above, part) for part in values]


def categories(schema: FeatureSchema) -> dict[int, Any]:
    """Position of each category with all of its codes, as alibi-detect's TabularDrift wants them."""
    return {i: column.cardinality for i, column in enumerate(schema.columns) if column.kind == "category"}
