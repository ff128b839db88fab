"""Which rows of history questions depend on: those of the entities that are asked about, up to the last question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import polars as pl

Comes = Callable[[pl.Expr, pl.Expr], pl.Expr]


def last_asked(asked: pl.DataFrame, entities: Iterable[str], time: str) -> dict[str, pl.DataFrame]:
    """By entity its keys among the questions, each with the time of the last one (`_last`)."""
    return {name: asked.group_by(name).agg(_last=pl.col(time).max()) for name in entities}


def blanked(rows: pl.DataFrame, last: Mapping[str, pl.DataFrame], time: str, comes: Comes = pl.Expr.le) -> pl.DataFrame:
    """The rows, a key null unless the row's `time` `comes` before (by default: not after) the last question about it.

    An entity whose column the rows do not have is left out.
    """
    for name, asked in last.items():
        if name not in rows.columns:
            continue
        rows = rows.join(asked, on=name, how="left", maintain_order="left")
        known = comes(pl.col(time), pl.col("_last")).fill_null(False)
        rows = rows.with_columns(pl.when(known).then(pl.col(name)).alias(name)).drop("_last")
    return rows


def touching(rows: pl.DataFrame, last: Mapping[str, pl.DataFrame], time: str) -> pl.DataFrame:
    """Only the rows that keep a key when they are `blanked`."""
    names = [name for name in last if name in rows.columns]
    return blanked(rows, last, time).filter(anybody(names)) if names else rows.clear()


def anybody(entities: Iterable[str]) -> pl.Expr:
    """Whether a row has a key."""
    return pl.any_horizontal(pl.col(name).is_not_null() for name in entities)
