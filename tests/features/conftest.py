"""A small world of cards and terminals, and a use case on the repository's own feature definitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sluice.settings import UseCase, parse_use_case
from sluice.simulate import World, simulate

Tables = tuple[pl.DataFrame, pl.DataFrame]
ROOT = Path(__file__).parents[2]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, EXACT = timedelta(hours=1), timedelta(microseconds=1)

FRAUD: dict[str, Any] = {
    "name": "fraud",
    "task": "binary",
    "seed": 7,
    "data": {
        "source": "nowhere",
        "columns": {
            "event_id": "transaction_id",
            "event_time": "time",
            "entities": {"card": "card_id", "terminal": "terminal_id"},
            "values": {"amount": {"type": "number", "unit": 0.01}},
            "label": "fraud",
            "label_time": "fraud_known_at",
        },
    },
    "features": {
        "repo": str(ROOT / "feature_repo"),
        "service": "fraud_v1",
        "request": [
            {"kind": "value", "name": "amount", "column": "amount"},
            {"kind": "weekend", "name": "weekend"},
            {"kind": "hours", "name": "night", "from_hour": 0, "to_hour": 6},
            {"kind": "ratio", "name": "ratio", "numerator": "amount", "denominator": "card_amount_mean_7d"},
        ],
    },
    "split": {"by": "time", "train": "20d", "validation": "7d", "gap": "7d", "test": "7d"},
    "training": {"metric": "average_precision", "candidates": [{"id": "constant", "kind": "constant"}]},
    "gate": {"metric": "average_precision"},
}


def fraud_case(**features: Any) -> UseCase:
    """The use case, with other settings of its `features`."""
    return parse_use_case({**FRAUD, "features": {**FRAUD["features"], **features}})


def small_tables(days: int = 45, cards: int = 12, terminals: int = 8, seed: int = 3) -> Tables:
    """Events and labels of a small dense world; every tenth event arrives up to an hour late."""
    raw, _ = simulate(World(days=days, cards=cards, terminals=terminals, radius=60.0, terminal_rate=0.02), seed)
    late = pl.when(pl.int_range(pl.len()) % 10 == 7).then(pl.int_range(pl.len()) * 7919 % 3600).otherwise(0)
    events = raw.select(
        event_id=pl.format("t{}", pl.col("transaction_id").cast(pl.String).str.zfill(7)),
        event_time="time",
        arrival=pl.col("time") + pl.duration(seconds=late),
        card=pl.format("c{}", "card_id"),
        terminal=pl.format("m{}", "terminal_id"),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64),
        label=pl.col("fraud").cast(pl.Float64),
        label_time="fraud_known_at",
    ).sort("event_time", "event_id")
    labels = events.select("event_id", "label", "label_time", "event_time", "card", "terminal")
    return events.drop("label", "label_time"), labels.sort("label_time", "event_id")


def brute_force(events: pl.DataFrame, labels: pl.DataFrame, asked: dict[str, Any]) -> dict[str, float | None]:
    """The window features of `fraud_v1` for one row of the events table, counted one by one as decision 2 says."""
    t, known = asked["event_time"], asked["arrival"]
    position = (t, asked["event_id"])
    found: dict[str, float | None] = {}

    def inside(time: datetime, days: int, hop: timedelta) -> bool:
        return bool((time - EPOCH) // hop > (t - timedelta(days=days) - EPOCH) // hop)

    seen = [e for e in events.to_dicts() if (e["event_time"], e["event_id"]) <= position and e["arrival"] <= known]
    arrived = [e for e in labels.to_dicts() if e["label_time"] <= t]
    latest = {e["event_id"]: e for e in sorted(arrived, key=lambda e: e["label_time"])}
    for days in (1, 7, 30):
        mine = [e for e in seen if e["card"] == asked["card"] and inside(e["event_time"], days, EXACT)]
        found[f"card_count_{days}d"] = len(mine)
        found[f"card_amount_mean_{days}d"] = sum(e["amount"] for e in mine) / len(mine) if mine else None
        here = [e for e in seen if e["terminal"] == asked["terminal"] and inside(e["event_time"], days, HOUR)]
        found[f"terminal_count_{days}d"] = len(here)
        risk = [
            e["label"]
            for e in latest.values()
            if e["terminal"] == asked["terminal"] and inside(e["label_time"], days, HOUR)
        ]
        found[f"terminal_risk_{days}d"] = sum(risk) / len(risk) if risk else None
    return found


@pytest.fixture(scope="session")
def brute() -> Callable[..., dict[str, float | None]]:
    return brute_force


@pytest.fixture(scope="session")
def make_case() -> Callable[..., UseCase]:
    return fraud_case


@pytest.fixture(scope="session")
def make_tables() -> Callable[..., Tables]:
    return small_tables


@pytest.fixture(scope="session")
def tables() -> Tables:
    return small_tables()


@pytest.fixture(scope="session")
def use_case() -> UseCase:
    return fraud_case()
