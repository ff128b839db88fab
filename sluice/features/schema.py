"""The order and meaning of a version's feature columns: the door through which every matrix goes.

A version keeps its schema; training, gate, batch scoring and server all call `to_matrix` or `encode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from sluice.errors import FeatureError

RARE, UNSEEN_AS, MISSING = 0, 0, 1
"""Codes of a category: rare and unseen values share 0, a missing one is 1, the vocabulary starts at 2."""
FIRST_KNOWN = 2
COMPOSED = "-features"
"""Behind a model's name: the name under which its server scores vectors of features instead of events."""


@dataclass(frozen=True)
class FeatureColumn:
    """One column of the matrix. `vocabulary` is empty for numbers; `fill` replaces a missing number (None: NaN)."""

    name: str
    kind: Literal["number", "category"] = "number"
    fill: float | None = None
    vocabulary: tuple[str, ...] = ()

    @property
    def cardinality(self) -> int:
        """Number of codes of a category, 0 for a number."""
        return len(self.vocabulary) + FIRST_KNOWN if self.kind == "category" else 0


@dataclass(frozen=True)
class FeatureSchema:
    """The columns of a version's matrix, in order."""

    columns: tuple[FeatureColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def document(self) -> dict[str, Any]:
        """The form that is stored with a version."""
        return {"format": 1, "columns": [asdict(column) for column in self.columns]}

    @staticmethod
    def from_document(document: dict[str, Any]) -> FeatureSchema:
        """Inverse of `document`."""
        return FeatureSchema(
            tuple(FeatureColumn(**{**c, "vocabulary": tuple(c["vocabulary"])}) for c in document["columns"])
        )


def fit_schema(
    train: pl.DataFrame, names: list[str], fills: dict[str, float], min_count: dict[str, int]
) -> FeatureSchema:
    """The schema of `names`, with vocabularies from the train rows only.

    Args:
        train: rows with a column per name: numbers, or strings for categories.
        fills: value of a missing number, by name.
        min_count: per category, how often a value must occur in `train` to be known by itself.
    """
    columns = []
    for name in names:
        series = train.get_column(name)
        if series.dtype == pl.String:
            counts = series.drop_nulls().value_counts()
            known = counts.filter(pl.col("count") >= min_count.get(name, 1)).get_column(name)
            columns.append(FeatureColumn(name, "category", vocabulary=tuple(sorted(known))))
        else:
            columns.append(FeatureColumn(name, fill=fills.get(name)))
    return FeatureSchema(tuple(columns))


def to_matrix(schema: FeatureSchema, rows: pl.DataFrame) -> np.ndarray:
    """The matrix that graphs take: float32 [rows x columns], categories as codes, missing numbers filled or NaN.

    Raises:
        FeatureError: a column of the schema is not among the rows.
    """
    missing = [name for name in schema.names if name not in rows.columns]
    if missing:
        raise FeatureError(
            f"the rows have no feature {', '.join(missing)}", "use the feature service that the version pins"
        )
    columns: dict[str, Any] = {}
    for column in schema.columns:
        series = rows.get_column(column.name)
        columns[column.name] = series.to_list() if column.kind == "category" else series.cast(pl.Float64).to_numpy()
    return encode_columns(schema, columns, rows.height)


def encode_columns(schema: FeatureSchema, columns: Mapping[str, Any], height: int) -> np.ndarray:
    """The matrix of columns that are arrays or lists already: what the server calls, and `to_matrix` as well.

    Args:
        columns: by name, float64 [height] with NaN for a missing number, or strings and None for a category.
    """
    matrix = np.empty((height, len(schema.columns)), dtype=np.float32)
    for i, column in enumerate(schema.columns):
        matrix[:, i] = encode(column, columns[column.name]) if column.kind == "category" else columns[column.name]
    fills = np.array([np.nan if column.fill is None else column.fill for column in schema.columns], dtype=np.float32)
    return np.where(np.isnan(matrix), fills, matrix)


def encode(column: FeatureColumn, values: Any) -> np.ndarray:
    """One column's values (strings or None; or float64 with NaN) as float32 [rows]: one code for both worlds."""
    if column.kind == "category":
        codes = {value: FIRST_KNOWN + i for i, value in enumerate(column.vocabulary)}
        return np.array([MISSING if v is None else codes.get(v, UNSEEN_AS) for v in values], dtype=np.float32)
    numbers = np.asarray(values, dtype=np.float64).astype(np.float32)
    return numbers if column.fill is None else np.where(np.isnan(numbers), np.float32(column.fill), numbers)
