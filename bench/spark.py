"""Windows on Spark: time against the size of history, beside the sweep in one process, and where the first one pays.

    python bench/spark.py [--events 200000] [--factors 1 2 4 7 10] [--chart docs/spark.svg]

The simulator's cards with mean and count over 1, 7 and 30 days. Each factor has as many times the cards, so that a card
has as many events at every size. "one process" is the sweep with one thread; "Spark" is `local[*]` on this machine, its
start, its tables out and its answers back included. The rows are compared: they have to be equal to the bit.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import vl_convert
from machine import machine
from rich.console import Console
from rich.table import Table
from windows import view

from sluice.simulate import World, simulate
from sluice.windows.spark_job import SparkJob
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep

ROOT = Path(__file__).parents[1]
DAYS = 60
BY_CARD = view("card", "events", count="event_id", mean="amount")


@dataclass(frozen=True)
class Measured:
    """One size of history."""

    factor: int
    rows: int
    alone: float
    spark: float
    equal: bool


def main() -> None:
    """Measure each size, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000, help="events at factor 1")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 2, 4, 7, 10])
    parser.add_argument("--chart", type=Path, help="SVG that the times are drawn into")
    given = parser.parse_args()
    job = SparkJob(options={"spark.driver.memory": "3g", "spark.sql.shuffle.partitions": "8"})
    started = time.perf_counter()
    with job.session():
        start = time.perf_counter() - started
        warm(job)
        lines = [measured(job, factor, given.events) for factor in given.factors]
    show(lines, start)
    if given.chart:
        draw(lines, given.chart)


def history(events: int) -> pl.DataFrame:
    """About so many events of 60 days."""
    # A card has two transactions a day in the mean.
    raw, _ = simulate(World(days=DAYS, cards=max(events // (2 * DAYS), 1)), 7)
    utc = pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return raw.select(
        event_id=pl.col("transaction_id").cast(pl.String),
        event_time=utc,
        arrival=utc,
        card=pl.col("card_id").cast(pl.String),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64),
    ).sort("event_time", "event_id")


def warm(job: SparkJob) -> None:
    """Compilers and workers started; no part of what is measured."""
    table = history(5000)
    questions = questions_of(BY_CARD, table)
    sweep(BY_CARD, entries_of(BY_CARD, table, None), questions)
    job.answers(BY_CARD, table.lazy(), questions)


def measured(job: SparkJob, factor: int, events: int) -> Measured:
    """One size, once each way."""
    table = history(factor * events)
    questions = questions_of(BY_CARD, table)
    started = time.perf_counter()
    alone = sweep(BY_CARD, entries_of(BY_CARD, table, None), questions, threads=1)
    between = time.perf_counter()
    spark = job.answers(BY_CARD, table.lazy(), questions)
    ended = time.perf_counter()
    return Measured(factor, table.height, between - started, ended - between, alone.equals(spark))


def show(lines: list[Measured], start: float) -> None:
    """The table; ratios are to one process at the same size, and to factor 1."""
    table = Table(title=f"six windows by card ({machine()}; Spark started in {start:.0f} s)")
    for column in ("times", "events", "one process, s", "Spark, s", "Spark : one", "growth of Spark", "rows"):
        table.add_column(column, justify="right")
    for line in lines:
        growth, ratio = line.spark / lines[0].spark, line.spark / line.alone
        figures = f"{line.alone:.2f}", f"{line.spark:.1f}", f"{ratio:.1f}", f"{growth:.1f}"
        table.add_row(f"{line.factor}", f"{line.rows:,}", *figures, "equal" if line.equal else "DIFFERENT")
    Console(width=120).print(table)


def draw(lines: list[Measured], path: Path) -> None:
    """Seconds against events, both ways."""
    values: list[dict[str, Any]] = [
        {"events": line.rows, "seconds": seconds, "way": way}
        for line in lines
        for way, seconds in (("one process", line.alone), ("Spark, local[*]", line.spark))
    ]
    chart = (
        alt.Chart(alt.InlineData(values=values), width=480, height=260)
        .mark_line(point=True)
        .encode(
            x=alt.X("events:Q", title="events"),
            y=alt.Y("seconds:Q", title="seconds"),
            color=alt.Color("way:N", title=None, scale=alt.Scale(range=["#3b6ea5", "#b5562b"])),
            strokeDash=alt.StrokeDash("way:N", title=None),
        )
    )
    path.write_text(vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[]), encoding="utf-8")


if __name__ == "__main__":
    main()
