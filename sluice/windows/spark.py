"""The sweep on Spark, for history that outgrows one machine: the same function, over cells of bounded size.

A cell is a share of the keys, drawn by hash, or of a key with more rows than a cell may have a stretch of time, laid
out with the entries of the longest window before it. Each cell goes to the sweep as it would on one machine; sums are
integers, so the way in which history was cut does not show in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from sluice.errors import FeatureError
from sluice.windows.definition import WindowView
from sluice.windows.stream import ORDER, entries_of, value_name
from sluice.windows.sweep import sweep

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ROW = "__row"
"""Position of a question, or of a row of the stream: what Spark does not keep by itself."""
_CELL, _KEY, _TIME = "__cell", "__key", "__time"
"""Beside a stream's own columns, whatever these are called."""
_QUESTION = {"key": "string", "time": "bigint", "arrival": "bigint", "event_id": "string", ROW: "bigint"}
_STRETCH = "__key string, stretch int, from_question bigint, from_entry bigint, before bigint"
_FOREVER = 2**63 - 1


def sweep_on_spark(view: WindowView, stream: DataFrame, questions: DataFrame, *, rows_per_cell: int) -> DataFrame:
    """`sluice.windows.sweep.sweep`, distributed.

    Args:
        stream: the view's events or labels as ingest wrote them, and `row`, their order (of several labels for an id
            at one instant the last counts).
        questions: key, time, arrival, event_id as for the sweep, and `row`.
        rows_per_cell: entries and questions that one call of the sweep takes. A cell may hold more where the longest
            window of one key does: that many entries have to be seen together.

    Returns:
        `row` and a double column an aggregation, one row a question, in no order; null as for the sweep.
    """
    placed = _placed(view, stream)
    counted = placed.select(_KEY, _TIME).unionAll(questions.select("key", "time"))
    cells = max(-(-counted.count() // rows_per_cell), 1)
    stretches = _stretches(view, counted, rows_per_cell)
    past = placed if view.stream == "events" else _keyed(_label_entries(view, stream, cells))
    asked = _keyed(questions.select(*_QUESTION))
    fields = ", ".join([f"{ROW} bigint", *(f"`{a.name}` double" for a in view.aggregations)])
    return (
        _celled(past, stretches, cells, since="from_entry")
        .groupBy(_CELL)
        .cogroup(_celled(asked, stretches, cells, since="from_question").groupBy(_CELL))
        .applyInArrow(_answering(view), fields)
    )


def _placed(view: WindowView, stream: DataFrame) -> DataFrame:
    """The stream's rows with the key and the time that they will have as entries; those without a key left out."""
    from pyspark.sql import functions as f

    time = f.unix_micros(f.col("event_time" if view.stream == "events" else "label_time"))
    key = f.col(view.entity).cast("string")
    return stream.filter(key.isNotNull()).select("*", key.alias(_KEY), time.alias(_TIME))


def _keyed(rows: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return rows.select("*", f.col("key").alias(_KEY), f.col("time").alias(_TIME))


def _label_entries(view: WindowView, stream: DataFrame, shares: int) -> DataFrame:
    """`entries_of` by share of the event ids: a label is corrected by another of its id, whatever the key."""
    from pyspark.sql import functions as f

    view = replace(view)
    values = ", ".join(f"`{value_name(column)}` bigint" for column in view.columns)
    fields = f"key string, time bigint, arrival bigint, event_id string, sign tinyint, {values}"
    kinds = _arrow(view)

    def made(part: pa.Table) -> pa.Table:
        return entries_of(view, None, _frame(part).sort(ROW)).to_arrow().cast(kinds)

    return stream.groupBy(_share(f.col("event_id"), shares)).applyInArrow(made, fields)


def _frame(table: pa.Table) -> pl.DataFrame:
    made = pl.from_arrow(table)
    assert isinstance(made, pl.DataFrame)
    return made


def _arrow(view: WindowView) -> pa.Schema:
    own = {"key": pa.string(), "time": pa.int64(), "arrival": pa.int64(), "event_id": pa.string(), "sign": pa.int8()}
    values = {value_name(column): pa.int64() for column in view.columns}
    return pa.schema([pa.field(name, kind) for name, kind in {**own, **values}.items()])


def _share(column: Column, shares: int) -> Column:
    from pyspark.sql import functions as f

    return f.pmod(f.xxhash64(column), f.lit(shares)).cast("int").alias(_CELL)


def _stretches(view: WindowView, counted: DataFrame, rows_per_cell: int) -> DataFrame | None:
    """Of each key with more rows than a cell may have: from when to before when questions are answered together.

    A stretch begins at the first instant of each share of the key's rows: rows of one instant stay together, as ties
    have an order. None where there is no such key.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    sizes = counted.filter(f.col(_KEY).isNotNull()).groupBy(_KEY).count()
    keys = [row[_KEY] for row in sizes.filter(f.col("count") > rows_per_cell).select(_KEY).collect()]
    if not keys:
        return None
    # Only the hot keys' times are numbered, an instant a row: over all rows that would be the skew to be avoided.
    times = counted.filter(f.col(_KEY).isin(keys)).groupBy(_KEY, _TIME).count()
    before = f.sum("count").over(Window.partitionBy(_KEY).orderBy(_TIME)) - f.col("count")
    parts = times.select(_KEY, _TIME, f.floor(before / rows_per_cell).alias("part"))
    found = parts.groupBy(_KEY, "part").agg(f.min(_TIME).alias("begins")).orderBy(_KEY, "begins").collect()
    reach = max(view.widths) + view.hop_us
    rows = []
    for i, row in enumerate(found):
        first = i == 0 or found[i - 1][_KEY] != row[_KEY]
        last = i + 1 == len(found) or found[i + 1][_KEY] != row[_KEY]
        begins, before_next = row["begins"], _FOREVER if last else found[i + 1]["begins"]
        rows.append((row[_KEY], i, -_FOREVER if first else begins, -_FOREVER if first else begins - reach, before_next))
    return counted.sparkSession.createDataFrame(rows, _STRETCH)


def _celled(rows: DataFrame, stretches: DataFrame | None, cells: int, *, since: str) -> DataFrame:
    """The rows with the cell that they belong to; those of a hot key once for each stretch that sees them."""
    from pyspark.sql import functions as f

    by_hash = _share(f.col(_KEY), cells)
    if stretches is None:
        return rows.select("*", by_hash)
    cold = rows.join(f.broadcast(stretches.select(_KEY).distinct()), _KEY, "left_anti").select("*", by_hash)
    inside = (f.col(_TIME) >= f.col(since)) & (f.col(_TIME) < f.col("before"))
    cut = rows.join(f.broadcast(stretches), _KEY).filter(inside)
    return cold.unionByName(cut.select(*rows.columns, (-1 - f.col("stretch")).alias(_CELL)))


def _answering(view: WindowView) -> Callable[[pa.Table, pa.Table], pa.Table]:
    view = replace(view)  # without what was cached in it: hashes of strings differ from process to process
    answered = {ROW: pa.int64(), **{a.name: pa.float64() for a in view.aggregations}}
    kinds = pa.schema([pa.field(name, kind) for name, kind in answered.items()])

    def answer(past: pa.Table, asked: pa.Table) -> pa.Table:
        rows, questions = _frame(past), _frame(asked)
        entries = entries_of(view, rows, None) if view.stream == "events" else rows.sort(ORDER)
        # One thread a task: Spark runs as many tasks as it has cores.
        answers = sweep(view, entries, questions, threads=1)
        return questions.select(ROW).hstack(answers).to_arrow().cast(kinds)

    return answer


def translated(error: Exception, view: WindowView) -> FeatureError:
    """What a worker of Spark said, as the error that it was there."""
    text = str(error)
    marked = "sluice.errors.FeatureError: "
    said = text.partition(marked)[2].splitlines()
    if said:
        hint = said[1].strip().removeprefix("→ ") if len(said) > 1 and "→" in said[1] else ""
        return FeatureError(said[0], hint)
    return FeatureError(
        f"windows of {view.name} on Spark: {text.strip().splitlines()[0][:300]}",
        "the executors' logs have the details; features.spark.rows_per_cell makes its parts smaller",
    )
