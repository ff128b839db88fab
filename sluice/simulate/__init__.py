"""A seeded world of cards and terminals that writes raw transactions with late labels.

The rules are those of the Fraud Detection Handbook's simulator (chapter 3), written as array operations.
`simulate` gives the tables, `write_raw` the files that ingest reads. `scenario` says how a fraud was made:
it is there for people who look at results and is never a feature.
"""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import numpy as np
import polars as pl

from sluice.simulate.fraud import change_amounts, commit_frauds
from sluice.simulate.transactions import DAY_SECONDS, genuine_transactions
from sluice.simulate.world import BrokenColumn, Change, FraudPattern, PriceRise, World

__all__ = [
    "BrokenColumn",
    "Change",
    "FraudPattern",
    "PriceRise",
    "World",
    "simulate",
    "write_parts",
    "write_raw",
]

PART_ROWS = 500_000


def simulate(world: World, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The world's raw transactions in order of time, and their labels as a table of their own.

    Returns:
        transactions: transaction_id Int64, time Datetime[us, UTC], card_id Int32, terminal_id Int32,
            amount Float64 (euros, two decimals, null where the sender broke), fraud Int8 (0 or 1),
            fraud_known_at Datetime[us, UTC], scenario Int8 (0: genuine).
        labels: event_id, label, label_time: the same labels in the form of `data.labels.source`.
    """
    t = genuine_transactions(world, seed)
    commit_frauds(world, seed, t)
    seconds = t.day * DAY_SECONDS + t.second
    order = np.argsort(seconds, kind="stable")
    start = np.datetime64(world.start.astimezone(UTC).replace(tzinfo=None), "us")
    time = start + seconds[order].astype("timedelta64[s]")
    transactions = pl.DataFrame(
        {
            "transaction_id": np.arange(order.size, dtype=np.int64),
            "time": pl.Series(time).dt.replace_time_zone("UTC"),
            "card_id": t.card[order].astype(np.int32),
            "terminal_id": t.terminal[order].astype(np.int32),
            "amount": pl.Series(change_amounts(world, t)[order]).fill_nan(None),
            "fraud": (t.scenario[order] > 0).astype(np.int8),
            "fraud_known_at": pl.Series(time).dt.replace_time_zone("UTC") + world.label_delay,
            "scenario": t.scenario[order],
        }
    )
    labels = transactions.select(event_id="transaction_id", label="fraud", label_time="fraud_known_at")
    return transactions, labels


def write_raw(world: World, seed: int, folder: Path) -> Path:
    """Simulate and write Parquet parts (`part-0000.parquet` …) into a folder, which is returned.

    The same world and seed write the same bytes. Parts of an earlier, longer world are removed.
    """
    transactions, _ = simulate(world, seed)
    return write_parts(transactions, folder)


def write_parts(transactions: pl.DataFrame, folder: Path) -> Path:
    """Write raw transactions as the parts of a folder, which is returned; parts that were there are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("part-*.parquet"):
        old.unlink()
    for i, part in enumerate(transactions.iter_slices(PART_ROWS)):
        part.write_parquet(folder / f"part-{i:04d}.parquet", compression="zstd", compression_level=1)
    return folder
