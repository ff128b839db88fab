"""A small source and the use case that reads it; both can be bent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from sluice.ingest import Ingested
from sluice.settings import UseCase, parse_use_case

NOW = datetime(2030, 1, 1, tzinfo=UTC)
START = datetime(2018, 4, 1, tzinfo=UTC)
FRAUD = Path(__file__).parent.parent.parent / "use_cases" / "fraud.yaml"

Read = Callable[..., Ingested]


def use_case(**data: Any) -> UseCase:
    """fraud.yaml with `data` laid over its columns, labels, … (`columns={"arrival": "seen"}`), errors allowed."""
    document = yaml.safe_load(FRAUD.read_text(encoding="utf-8"))
    document["data"].pop("end", None)
    document["data"]["quality"] = {"max_quarantined": 1.0}
    document |= data.pop("top", {})
    for name, value in data.items():
        if isinstance(value, dict):
            document["data"].setdefault(name, {}).update(value)
        else:
            document["data"][name] = value
    return parse_use_case(document)


def rows(count: int = 6, **columns: Any) -> pl.DataFrame:
    """Good transactions, an hour apart, with some columns replaced or added."""
    time = [START + timedelta(hours=i) for i in range(count)]
    good: dict[str, Any] = {
        "transaction_id": [f"t{i}" for i in range(count)],
        "time": time,
        "card_id": [i % 3 for i in range(count)],
        "terminal_id": [i % 2 for i in range(count)],
        "amount": [10.25 + i for i in range(count)],
        "fraud": [int(i % 3 == 0) for i in range(count)],
        "fraud_known_at": [t + timedelta(days=7) for t in time],
    }
    return pl.DataFrame(good | columns, strict=False)
