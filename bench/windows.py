"""Twelve window features over all transactions: our sweep against the handbook's way, DuckDB and Polars.

    python bench/windows.py                       the simulator's world (183 days, about 1.75 M rows)
    python bench/windows.py --data FILE.parquet   the Fraud Detection Handbook's transactions

Count and mean amount by card, count by terminal, and fraud rate by terminal with labels seven days late, each over
1, 7 and 30 days. Every engine starts from the same table in memory and gives twelve columns in its order. Where two
events of a key share an instant, only the sweep and pandas order them: the values there are left out of the check.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from machine import machine
from rich.console import Console
from rich.table import Table

from sluice.simulate import World, simulate
from sluice.windows.definition import Aggregation, Stream, WindowView
from sluice.windows.materialise import build_states
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep_array

DAYS = (1, 7, 30)
DELAY = 7
DAY_US = 86_400_000_000
HORIZON_US = 2 * DAY_US


def transactions(data: Path | None, days: int, seed: int) -> pl.DataFrame:
    """event_id String, time Datetime[us], card and terminal String, amount Int64 (cents), fraud Int64, in order."""
    if data is None:
        raw = simulate(World(days=days), seed)[0].rename({"card_id": "card", "terminal_id": "terminal"})
        raw = raw.rename({"transaction_id": "event_id"})
    else:
        theirs = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
        ours = ["event_id", "time", "card", "terminal", "amount", "fraud"]
        raw = pl.read_parquet(data, columns=theirs).rename(dict(zip(theirs, ours, strict=True)))
    return raw.select(
        pl.col("event_id", "card", "terminal").cast(pl.String),
        pl.col("time").dt.replace_time_zone(None),
        (pl.col("amount") * 100).round().cast(pl.Int64),
        pl.col("fraud").cast(pl.Int64),
    ).sort("time", "event_id")


def view(entity: str, stream: Stream, **functions: str) -> WindowView:
    """Windows of 1, 7 and 30 days to the microsecond."""
    made = [Aggregation(f"{f}_{w}", c, f, w * DAY_US) for f, c in functions.items() for w in DAYS]
    return WindowView(entity, entity, stream, 1, tuple(made))


VIEWS = (
    view("card", "events", count="event_id", mean="amount"),
    view("terminal", "events", count="event_id"),
    view("terminal", "labels", mean="label"),
)


def streams(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and labels as ingest would write them."""
    utc = pl.col("time").dt.replace_time_zone("UTC")
    events = table.with_columns(event_time=utc, arrival=utc, label=pl.col("fraud").cast(pl.Float64))
    labels = events.with_columns(label_time=utc + pl.duration(days=DELAY)).sort("label_time", "event_id")
    return events, labels


def by_sweep(events: pl.DataFrame, labels: pl.DataFrame) -> np.ndarray:
    """Ours: entries, grouping and sweep of three views."""
    return np.concatenate([sweep_array(v, entries_of(v, events, labels), questions_of(v, events)) for v in VIEWS])


def by_pandas(table: pd.DataFrame) -> np.ndarray:
    """The handbook's way: a rolling sum over the rows of each customer and of each terminal, one by one."""
    out = np.empty((12, len(table)))
    for key, first in (("card", 0), ("terminal", 6)):
        for _, group in table.groupby(key):
            rows, indexed = group["row"].to_numpy(), group.set_index("time")
            late = indexed["fraud"].rolling(f"{DELAY}D").agg(["sum", "count"]).to_numpy().T
            for i, days in enumerate(DAYS):
                if key == "card":
                    rolled = indexed["amount"].rolling(f"{days}D")
                    count = rolled.count().to_numpy()
                    out[first + i, rows], out[first + 3 + i, rows] = count, rolled.sum().to_numpy() / count
                else:
                    out[first + i, rows] = indexed["fraud"].rolling(f"{days}D").count()
                    both = indexed["fraud"].rolling(f"{DELAY + days}D").agg(["sum", "count"]).to_numpy().T
                    with np.errstate(invalid="ignore"):
                        out[first + 3 + i, rows] = (both[0] - late[0]) / (both[1] - late[1])
    return out


def by_duckdb(table: pl.DataFrame) -> np.ndarray:
    """SQL window functions over ranges of time."""
    columns, windows = [], []
    for w in DAYS:
        until = f"interval {DELAY} day preceding"
        for name, key, since, to in (
            (f"c{w}", "card", w, "current row"),
            (f"t{w}", "terminal", w, "current row"),
            (f"l{w}", "terminal", w + DELAY, until),
        ):
            begin = f"interval '{since * DAY_US - 1} microseconds' preceding"
            windows.append(f"{name} as (partition by {key} order by time range between {begin} and {to})")
    for what in ("count(*) over c{}", "avg(amount) over c{}", "count(*) over t{}", "avg(fraud) over l{}"):
        columns += [what.format(w) for w in DAYS]
    named = ", ".join(f"{what} as f{i}" for i, what in enumerate(columns))
    with duckdb.connect() as connection:
        connection.register("t", table.with_row_index("row").to_arrow())
        found = connection.sql(f"select {named} from t window {', '.join(windows)} order by row").pl()
    return found.cast(pl.Float64).fill_null(np.nan).to_numpy().T


def by_polars(table: pl.DataFrame) -> np.ndarray:
    """Rolling expressions over each key."""

    def rolled(column: str, key: str, days: int) -> pl.Expr:
        return pl.col(column).rolling_sum_by("time", f"{days}d", closed="right").over(key)

    count = {w: [rolled("one", key, w) for key in ("card", "terminal")] for w in DAYS}
    spent = [rolled("amount", "card", w) / count[w][0] for w in DAYS]
    cases = [rolled(column, "terminal", DELAY) for column in ("fraud", "one")]
    rate = [
        (rolled("fraud", "terminal", w + DELAY) - cases[0]) / (rolled("one", "terminal", w + DELAY) - cases[1])
        for w in DAYS
    ]
    features = [*(count[w][0] for w in DAYS), *spent, *(count[w][1] for w in DAYS), *rate]
    ready = table.with_columns(one=pl.lit(1, pl.Int64)).lazy()
    found = ready.select(f.cast(pl.Float64).alias(f"f{i}") for i, f in enumerate(features)).collect()
    return found.to_numpy().T


class Taken(NamedTuple):
    """Seconds on the clock, and of all processors together: the latter hardly see who else uses the machine."""

    wall: float
    processor: float


def timed(work: Callable[[], np.ndarray], runs: int) -> tuple[Taken, np.ndarray]:
    """The best of some runs, and what came out."""
    best = Taken(float("inf"), float("inf"))
    for _ in range(runs):
        clock, processor = time.perf_counter(), time.process_time()
        found = work()
        taken = Taken(time.perf_counter() - clock, time.process_time() - processor)
        best = Taken(min(best.wall, taken.wall), min(best.processor, taken.processor))
    return best, found


def untied(table: pl.DataFrame) -> np.ndarray:
    """Rows whose instant no other row of their card or terminal shares: bool [rows]."""
    shared = [pl.struct(key, "time").is_duplicated() for key in ("card", "terminal")]
    return table.select(~(shared[0] | shared[1])).to_series().to_numpy()


def main() -> None:
    """Run all engines on the same rows and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the handbook's transactions.parquet; default: the simulator")
    parser.add_argument("--days", type=int, default=183, help="length of the simulated world")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=3, help="runs of all but pandas; the best counts")
    parser.add_argument("--skip-pandas", action="store_true", help="leave the slowest out")
    arguments = parser.parse_args()
    table = transactions(arguments.data, arguments.days, arguments.seed)
    events, labels = streams(table)
    cold, _ = timed(lambda: by_sweep(events, labels), 1)
    ours, expected = timed(lambda: by_sweep(events, labels), arguments.runs)
    frame = table.with_row_index("row").to_pandas()
    others: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        "pandas, the handbook's way": (lambda: by_pandas(frame), 1),
        "DuckDB": (lambda: by_duckdb(table), arguments.runs),
        "Polars": (lambda: by_polars(table), arguments.runs),
    }
    if arguments.skip_pandas:
        del others["pandas, the handbook's way"]
    versions = f"pandas {pd.__version__}", f"DuckDB {duckdb.__version__}", f"Polars {pl.__version__}"
    shown = Table(title=f"12 window features, {table.height:,} rows", caption=machine(*versions))
    for heading in ("engine", "seconds", "ratio", "processor seconds", "ratio", "largest relative difference"):
        shown.add_column(heading, justify="left" if heading == "engine" else "right")
    shown.add_row(f"sweep (first call {cold.wall:.1f} s)", *ratios(ours, ours), "")
    rows = untied(table)
    for name, (work, runs) in others.items():
        seconds, found = timed(work, runs)
        shown.add_row(name, *ratios(seconds, ours), f"{difference(found, expected, rows):.1e}")
    states, _ = timed(lambda: build_all(events, labels), arguments.runs)
    shown.add_row("tile states of all keys", *ratios(states, ours), "")
    Console(width=120).print(shown)


def ratios(taken: Taken, ours: Taken) -> list[str]:
    """Cells of the table: each kind of seconds, and how many times the sweep's they are."""
    pairs = zip(taken, ours, strict=True)
    return [cell for mine, base in pairs for cell in (f"{mine:.2f}", f"{mine / base:.1f}")]


def build_all(events: pl.DataFrame, labels: pl.DataFrame) -> np.ndarray:
    """How many states the three views have after all history."""
    return np.array([len(build_states(v, entries_of(v, events, labels), horizon_us=HORIZON_US)) for v in VIEWS])


def difference(found: np.ndarray, expected: np.ndarray, rows: np.ndarray) -> float:
    """Largest relative difference among `rows`; infinite where only one of the two is missing."""
    left, right = found[:, rows], expected[:, rows]
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return float("inf")
    return float(np.nanmax(np.abs(left - right) / np.maximum(np.abs(right), 1.0)))


if __name__ == "__main__":
    main()
