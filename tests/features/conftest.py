"""A small world of cards and terminals, and a use case on the repository's own feature definitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sluice.settings import UseCase, parse_use_case
from sluice.simulate import World, simulate

Tables = tuple[pl.DataFrame, pl.DataFrame]
ROOT = Path(__file__).parents[2]

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
