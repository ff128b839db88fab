"""The sweep on Spark answers every question as the sweep on one machine does, to the bit, however history is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sluice.errors import FeatureError
from sluice.windows.definition import Stream, WindowView
from sluice.windows.finish import LARGEST_VALUE
from sluice.windows.spark import _celled, _keyed, _placed, _stretches
from sluice.windows.spark_job import SparkJob, numbered
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep
from windows.worlds import events_of, labels_of, view_of


def world(keys: int, count: int, span: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and labels of `keys` keys within `span` microseconds: ties, late arrivals, missing keys, corrections.

    The first key has half of all events.
    """
    draw = np.random.default_rng(seed)
    key = np.where(draw.random(count) < 0.5, 0, draw.integers(0, keys, count))
    time = draw.integers(-span, span, count)
    late = np.where(draw.random(count) < 0.2, draw.integers(0, span, count), 0)
    events = pl.DataFrame({"key": key, "time": time, "late": late, "amount": draw.integers(-5, 10**9, count)})
    events = events.with_columns(
        card=pl.when(pl.col("key") % 17 != 3).then(pl.format("card {}", "key")),
        event_id=pl.Series([f"e{i}" for i in draw.permutation(count)]),
        amount=pl.when(pl.col("amount") % 11 != 0).then("amount"),
    )
    rows = events.select(
        "event_id",
        pl.col("time").alias("event_time"),
        (pl.col("time") + pl.col("late")).alias("arrival"),
        "card",
        "amount",
    )
    labels = rows.select("event_id", "card", label_time=pl.col("event_time") + pl.Series(draw.integers(0, span, count)))
    # A third is labelled again, at times at the same instant; the later row wins.
    again = labels.filter(pl.Series(draw.random(count) < 0.3)).with_columns(pl.col("label_time") + 1)
    both = pl.concat([labels, again, again.head(count // 10)])
    both = both.with_columns(label=pl.Series(draw.integers(0, 2, both.height).astype(float)))
    return events_of(rows.to_dicts()), labels_of(both.to_dicts())


def on_one_machine(
    view: WindowView, tables: tuple[pl.DataFrame, pl.DataFrame], questions: pl.DataFrame
) -> pl.DataFrame:
    return sweep(view, entries_of(view, *tables), questions)


@pytest.mark.parametrize(
    ("stream", "hop", "rows_per_cell"), [("events", 1, 200), ("events", 7, 10**6), ("labels", 3, 200)]
)
def test_rows_are_equal_to_the_bit(spark: Any, stream: Stream, hop: int, rows_per_cell: int) -> None:
    view = view_of(stream, hop, (1, 4, 30))
    tables = world(60, 1500, 500, seed=hop)
    questions = questions_of(view, tables[0]).sample(fraction=0.8, shuffle=True, seed=1)
    stranger = questions.head(2).with_columns(key=pl.Series(["never seen", None]), event_id=pl.lit(None, pl.String))
    questions = pl.concat([questions, stranger])
    table = tables[0] if stream == "events" else tables[1]
    found = SparkJob(rows_per_cell=rows_per_cell).answers(view, table.lazy(), questions)
    expected = on_one_machine(view, tables, questions)
    assert found.columns == expected.columns
    assert found.null_count().equals(expected.null_count())
    assert found.to_numpy().tobytes() == expected.to_numpy().tobytes()


def test_a_key_with_most_of_history_is_cut_by_time(spark: Any, tmp_path: Path) -> None:
    """150,000 events of one key in parts of at most 10,000 rows and one longest window."""
    count, span, limit = 150_000, 10**9, 10_000
    view = view_of("events", 1000, (1, 100, 1000))
    draw = np.random.default_rng(2)
    time = np.sort(draw.integers(0, span, count))
    events = pl.DataFrame(
        {
            "event_id": [f"{i:06d}" for i in range(count)],
            "event_time": time,
            "arrival": time,
            "card": np.where(draw.random(count) < 0.02, "rare", "hot"),
            "amount": draw.integers(0, 10**6, count),
        }
    ).with_columns(pl.col("event_time", "arrival").cast(pl.Datetime("us", "UTC")))
    questions = questions_of(view, events)
    found = SparkJob(rows_per_cell=limit).answers(view, events.lazy(), questions)
    assert found.equals(on_one_machine(view, (events, events), questions))
    largest = cells(spark, view, events, questions, tmp_path, limit)
    in_one_window = int(np.max(np.arange(1, count + 1) - np.searchsorted(time, time - max(view.widths))))
    assert len(largest) > 25
    # Questions and entries of one part, the entries of a window before it, and those of one instant.
    assert max(largest) <= limit + in_one_window + 100


def cells(
    spark: Any, view: WindowView, events: pl.DataFrame, questions: pl.DataFrame, folder: Path, limit: int
) -> list[int]:
    """Rows of each cell that holds any."""
    numbered(events.lazy()).sink_parquet(folder / "stream.parquet")
    numbered(questions.lazy()).sink_parquet(folder / "questions.parquet")
    past = _placed(view, spark.read.parquet(str(folder / "stream.parquet")))
    asked = _keyed(spark.read.parquet(str(folder / "questions.parquet")))
    counted = past.select("__key", "__time").unionAll(asked.select("__key", "__time"))
    stretches = _stretches(view, counted, limit)
    parts = [
        _celled(rows.select("__key", "__time"), stretches, 3, since=since)
        for rows, since in ((past, "from_entry"), (asked, "from_question"))
    ]
    return [row["count"] for row in parts[0].unionAll(parts[1]).groupBy("__cell").count().collect()]


def test_what_a_task_refuses_is_told_as_here(spark: Any) -> None:
    view = view_of("events", 1)
    rows = [{"event_id": "a", "event_time": 1, "arrival": 1, "card": "x", "amount": LARGEST_VALUE + 1}]
    events = events_of(rows)
    with pytest.raises(FeatureError) as here:
        on_one_machine(view, (events, events), questions_of(view, events))
    with pytest.raises(FeatureError) as there:
        SparkJob().answers(view, events.lazy(), questions_of(view, events))
    assert (there.value.message, there.value.hint) == (here.value.message, here.value.hint)


def test_a_staging_folder_that_is_not_there_is_told(spark: Any, tmp_path: Path) -> None:
    view = view_of("events", 1)
    events = events_of([{"event_id": "a", "event_time": 1, "arrival": 1, "card": "x", "amount": 1}])
    with pytest.raises(FeatureError, match="is no folder here"):
        SparkJob(staging=str(tmp_path / "no")).answers(view, events.lazy(), questions_of(view, events))
