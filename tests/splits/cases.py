"""Small tables that the split tests share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from sluice.settings import UseCase, parse_use_case

START = datetime(2018, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIME = {"by": "time", "train": "10d", "validation": "3d", "gap": "2d", "test": "3d"}


def use_case(split: dict[str, Any], **changes: Any) -> UseCase:
    """A use case with this split; `changes` replace whole sections."""
    document: dict[str, Any] = {
        "name": "small",
        "task": "binary",
        "seed": 1,
        "data": {
            "source": "unused",
            "columns": {
                "event_time": "time",
                "entities": {"card": "card"},
                "values": {"amount": {}},
                "label": "label",
                "label_time": "known",
            },
        },
        "features": {"request": [{"kind": "value", "name": "amount", "column": "amount"}]},
        "split": split,
        "training": {"metric": "roc_auc", "candidates": [{"id": "constant", "kind": "constant"}]},
        "gate": {"metric": "roc_auc"},
    }
    return parse_use_case(document | changes)


def world(days: int, a_day: int = 4, delay: timedelta = DAY) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows every 24 h / a_day from START, every other one positive, and their labels `delay` later."""
    times = [START + i * DAY / a_day for i in range(days * a_day)]
    ids = [f"e{i}" for i in range(len(times))]
    rows = pl.DataFrame(
        {"event_id": ids, "event_time": times, "card": [f"c{i % 5}" for i in range(len(times))], "amount": 1.0},
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )
    return rows, label_stream(
        [(i, float(k % 2), t, t + delay) for k, (i, t) in enumerate(zip(ids, times, strict=True))]
    )


def label_stream(events: list[tuple[str, float, datetime, datetime]]) -> pl.DataFrame:
    """A label stream of (event_id, label, event_time, label_time)."""
    instant = pl.Datetime("us", "UTC")
    schema = {"event_id": pl.String, "label": pl.Float64, "event_time": instant, "label_time": instant}
    return pl.DataFrame(events, schema=schema, orient="row").sort("label_time", "event_id")
