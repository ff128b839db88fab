"""One source column as the type its role needs, and which rows are wrong in which way."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from sluice.errors import DataError
from sluice.settings.data import ValueColumn

EXACT = 2.0**53
"""Whole numbers above this are no longer exact in float64."""


@dataclass(frozen=True)
class Typed:
    """`value` on the raw table; `problems` are (reason, rows that have it), reasons without the column's name."""

    value: pl.Expr
    problems: list[tuple[str, pl.Expr]] = field(default_factory=list)

    def required(self) -> Typed:
        """A missing value is a problem as well."""
        missing = self.value.is_null()
        for _, wrong in self.problems:
            missing &= ~wrong.fill_null(False)
        return Typed(self.value, [*self.problems, ("missing", missing)])


def text(column: str, dtype: pl.DataType, *, empty_is_missing: bool = False) -> Typed:
    """Ids and categories as String. Nothing is trimmed; 3, 3.0 and "3" are the same text."""
    raw = pl.col(column)
    if dtype.is_float():
        whole = raw.is_finite() & (raw == raw.round()) & (raw.abs() <= EXACT)
        value = raw.fill_nan(None).cast(pl.Int64, strict=False).cast(pl.String)
        wrong = raw.fill_nan(None).is_not_null() & ~whole
        return Typed(value, [("a number that is not whole, or too large to be exact: write it as text", wrong)])
    if dtype.is_integer() or dtype.is_decimal() or dtype in (pl.Boolean, pl.Categorical, pl.Enum, pl.Null):
        return Typed(raw.cast(pl.String))
    if dtype != pl.String:
        raise wrong_type(column, dtype, "text or whole numbers")
    return Typed(pl.when(raw != "").then(raw) if empty_is_missing else raw)


def number(column: str, dtype: pl.DataType, settings: ValueColumn) -> Typed:
    """A finite number within the settings' range as Float64 in natural units; NaN counts as missing."""
    raw = pl.col(column)
    if not (dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Null)):
        raise wrong_type(column, dtype, "a number")
    value = raw.cast(pl.Float64, strict=False).fill_nan(None)
    problems = [("infinite", value.is_infinite())]
    if dtype == pl.String:
        problems.append(("not a number", raw.is_not_null() & raw.cast(pl.Float64, strict=False).is_null()))
    if settings.min is not None:
        problems.append((f"below {settings.min:g}", value.is_finite() & (value < settings.min)))
    if settings.max is not None:
        problems.append((f"above {settings.max:g}", value.is_finite() & (value > settings.max)))
    if settings.unit is not None:
        too_large = value.is_finite() & (value.abs() / settings.unit > EXACT)
        problems.append((f"too large to be counted in units of {settings.unit:g}", too_large))
    return Typed(value, problems)


def boolean(column: str, dtype: pl.DataType) -> Typed:
    """true/false (any case), 0/1 as Int64."""
    raw = pl.col(column)
    if dtype in (pl.Boolean, pl.Null):
        return Typed(raw.cast(pl.Int64))
    if dtype == pl.String:
        known = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}
        value = raw.str.to_lowercase().replace_strict(known, default=None, return_dtype=pl.Int64)
        return Typed(value, [("neither true nor false", raw.is_not_null() & value.is_null())])
    if not dtype.is_numeric():
        raise wrong_type(column, dtype, "true or false")
    number = raw.cast(pl.Float64).fill_nan(None)
    return Typed(number.cast(pl.Int64, strict=False), [("neither 0 nor 1", ~number.is_in([0.0, 1.0]))])


def value(column: str, dtype: pl.DataType, settings: ValueColumn) -> Typed:
    """A value column by its settings."""
    if settings.type == "category":
        typed = text(column, dtype)
    elif settings.type == "boolean":
        typed = boolean(column, dtype)
    else:
        typed = number(column, dtype, settings)
    return typed.required() if settings.missing == "quarantine" else typed


def label(column: str, dtype: pl.DataType, task: str, classes: list[str]) -> Typed:
    """A label as Float64: 0/1, the class's index, or the value of a regression. Null: not known yet."""
    if task == "regression":
        return number(column, dtype, ValueColumn())
    if not classes:
        typed = boolean(column, dtype)
        return Typed(typed.value.cast(pl.Float64), typed.problems)
    name = text(column, dtype)
    index = name.value.replace_strict(
        {c: float(i) for i, c in enumerate(classes)}, default=None, return_dtype=pl.Float64
    )
    unknown = name.value.is_not_null() & index.is_null()
    return Typed(index, [*name.problems, ("not among data.labels.classes", unknown)])


def wrong_type(column: str, dtype: pl.DataType, expected: str) -> DataError:
    """The error for a column whose type cannot hold its role at all."""
    return DataError(
        f"column {column!r} is {dtype}; expected {expected}", "correct data.columns, or convert the column"
    )
