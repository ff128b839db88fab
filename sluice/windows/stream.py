"""What flows through windows: entries made of events or of labels, and the questions asked of them.

Labels are events too. A second label for an event id is a correction: an entry of sign -1 takes the old one out of
the tile that it lies in, from the instant on at which the correction became known, and the new one comes in.
"""

from __future__ import annotations

import polars as pl

from sluice.errors import FeatureError
from sluice.windows.definition import WindowView

ORDER = ["arrival", "time", "event_id", "sign"]
"""The order in which entries become known, hence in which they are applied to tiles."""


def value_name(column: str) -> str:
    """Name of a value column among entries, apart from their own columns."""
    return f"value_{column}"


def entries_of(
    view: WindowView, events: pl.DataFrame | None, labels: pl.DataFrame | None, before: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The entries of a view's stream, in the order in which they became known.

    Args:
        events: events table; needed by a view over events, else unused.
        labels: label stream; needed by a view over labels, else unused.
        before: labels that were made entries earlier. Only retractions come of them: give it when `labels` is what
            is new and may correct what is old.

    Returns:
        key String, time Int64 and arrival Int64 (microseconds since 1970, UTC), event_id String, sign Int8 and for
        each column of the view `value_name(column)` Int64 (whole units; 1 where only presence counts; null where
        missing). Rows without a key are left out: no window is theirs.

    Raises:
        FeatureError: the stream lacks the entity or a column, or a column cannot be summed in whole units.
    """
    table = events if view.stream == "events" else labels
    if table is None:
        raise FeatureError(f"windows of {view.name} are over {view.stream}, and there are none", "pass them")
    if view.stream == "labels":
        made = _label_entries(view, table, before)
    else:
        made = table.select(
            *_common(view, table, "event_time", "arrival"), sign=pl.lit(1, pl.Int8), **_values(view, table)
        )
    made = made.filter(pl.col("key").is_not_null()) if made.get_column("key").null_count() else made
    return made if _in_order(made) else made.sort(ORDER, maintain_order=True)


def questions_of(view: WindowView, events: pl.DataFrame) -> pl.DataFrame:
    """What is asked for each event, in the events' order: its own windows as they were known at its arrival."""
    return events.select(_common(view, events, "event_time", "arrival"))


def _common(view: WindowView, table: pl.DataFrame, time: str, arrival: str) -> list[pl.Expr]:
    missing = [name for name in (view.entity, "event_id", time) if name not in table.columns]
    if missing:
        raise FeatureError(
            f"windows of {view.name}: the {view.stream} have no column {', '.join(missing)}",
            f"they have {', '.join(table.columns)}",
        )
    arrived = arrival if arrival in table.columns else time
    return [
        pl.col(view.entity).cast(pl.String).alias("key"),
        pl.col(time).dt.cast_time_unit("us").cast(pl.Int64).alias("time"),
        pl.col(arrived).dt.cast_time_unit("us").cast(pl.Int64).alias("arrival"),
        pl.col("event_id"),
    ]


_WHOLE = {"events": "give it a unit", "labels": "give the label in a smaller measure, such as seconds for hours"}


def _values(view: WindowView, table: pl.DataFrame) -> dict[str, pl.Expr]:
    problems = [f"no column {c!r}" for c in view.columns if c not in table.columns]
    made: dict[str, pl.Expr] = {}
    for column in view.columns if not problems else ():
        value = pl.col(column)
        if column not in view.numeric_columns:
            made[value_name(column)] = pl.when(value.is_not_null()).then(pl.lit(1, pl.Int64))
            continue
        dtype = table.schema[column]
        if dtype.is_float() and not _whole(table.get_column(column)):
            problems.append(f"{column!r} holds fractions, and sums are of whole units: {_WHOLE[view.stream]}")
        elif not (dtype.is_numeric() or dtype == pl.Boolean):
            problems.append(f"{column!r} is {dtype}: only count and time_since_last take it")
        made[value_name(column)] = value.cast(pl.Int64)
    if problems:
        raise FeatureError(
            f"windows of {view.name} over {view.stream}: " + "; ".join(problems),
            "correct the feature view, or data.columns.values in the use case file",
        )
    return made


def _whole(values: pl.Series) -> bool:
    return bool(((values == values.round()) & values.is_finite()).all())


def _label_entries(view: WindowView, labels: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    def as_entries(table: pl.DataFrame, new: bool) -> pl.DataFrame:
        return table.select(
            *_common(view, table, "label_time", "label_time"), sign=pl.lit(1, pl.Int8), **_values(view, table), new=new
        )

    rows = as_entries(labels, True)
    if before is not None:
        rows = pl.concat([rows, as_entries(before.join(labels, on="event_id", how="semi"), False)])
    if rows.get_column("event_id").n_unique() == rows.height:
        return rows.drop("new")
    return _with_retractions(rows)


def _with_retractions(rows: pl.DataFrame) -> pl.DataFrame:
    repeated = pl.col("event_id").is_duplicated()
    single = rows.filter(~repeated & pl.col("new")).drop("new")
    # Of several labels for one id at one instant the last counts; one that was known before is a repeat.
    chain = rows.filter(repeated).sort("event_id", "time", ~pl.col("new"), maintain_order=True)
    chain = chain.unique(["event_id", "time"], keep="last", maintain_order=True)
    following = [pl.col(name).shift(-1).over("event_id").alias(f"next_{name}") for name in ("time", "new")]
    chain = chain.with_columns(following)
    old = chain.filter(pl.col("next_time").is_not_null() & (pl.col("new") | pl.col("next_new")))
    old = old.with_columns(pl.col("next_time").alias("arrival"), pl.lit(-1, pl.Int8).alias("sign"))
    new = chain.filter("new")
    return pl.concat([single, new.select(single.columns), old.select(single.columns)])


def _in_order(entries: pl.DataFrame) -> bool:
    """Whether rows stand in `ORDER`, decided column by column, strings only where the numbers tie."""
    later = pl.lit(True)
    for name in reversed(ORDER):
        column, previous = pl.col(name), pl.col(name).shift(1)
        later = (column > previous) | ((column == previous) & later)
    return bool(entries.select(later.fill_null(True).all()).item())
