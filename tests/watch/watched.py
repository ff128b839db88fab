"""Small tables of a reference and of windows: made-up ones with days that differ, and those of a simulated world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.features.historical import feature_names, feature_rows
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.ingest import ingest
from sluice.settings import UseCase, read_use_case
from sluice.simulate import Change, World, write_raw

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILLED, TRAINED = 70, 112
"""From the first day on terminals are taken over as often as they are freed (28 days), and the longest window of labels
has seen only such days (30 days, 7 days late); the reference ends at the second."""
SCHEMA = FeatureSchema((FeatureColumn("amount"), FeatureColumn("shop", "category", vocabulary=("a", "b", "c"))))
START = datetime(2018, 1, 1, tzinfo=UTC)


def made_up(days: int, *, first: int = 0, per_day: int = 100, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    """Rows whose amount has a mean of each day's own (deviation 0.3 around 0, of 1 within a day)."""
    random = np.random.default_rng([seed, first])
    day = np.repeat(np.arange(first, first + days), per_day)
    amount = np.repeat(random.normal(0, 0.3, days), per_day) + random.normal(shift, 1, len(day))
    return pl.DataFrame(
        {
            "event_time": [START + timedelta(days=int(d), seconds=s) for s, d in enumerate(day)],
            "amount": amount.astype(np.float32),
            "shop": random.choice(["a", "b", "c"], len(day), p=[0.5, 0.3, 0.2]),
            "score": (1 / (1 + np.exp(-amount))).astype(np.float32),
            "held_out": day >= first + days - 7,
        }
    )


def case(**overrides: Any) -> UseCase:
    """The fraud use case."""
    dotted = {name.replace("__", "."): value for name, value in overrides.items()}
    return read_use_case(ROOT / "use_cases/fraud.yaml", {"features.repo": str(ROOT / "feature_repo"), **dotted})


def world_rows(folder: Path, seed: int, days: int, *changes: Change) -> tuple[FeatureSchema, pl.DataFrame]:
    """Feature rows of a small world with `day` since its start, and a score that listens to amount and terminal."""
    world = World(days=days, cards=400, terminals=800, radius=14.0, changes=changes)
    raw = write_raw(world, seed, folder / f"raw-{seed}")
    use_case = case(data__source=str(raw), data__end="2030-01-01T00:00:00Z", data__quality__max_quarantined=1.0)
    found = ingest(use_case, now=NOW)
    rows = feature_rows(use_case, found.events, found.labels)
    names = feature_names(use_case)
    risk, amount = pl.col("terminal_risk_7d").fill_null(0), pl.col("amount").fill_null(0)
    score = 1 / (1 + (4 - 8 * risk - amount / 10_000).exp())
    rows = rows.with_columns(
        pl.col(names).cast(pl.Float32),
        score=score.cast(pl.Float32),
        day=(pl.col("event_time") - world.start).dt.total_days(),
    )
    return FeatureSchema(tuple(FeatureColumn(name) for name in names)), rows


def reference_of(rows: pl.DataFrame, most: int = 8000) -> pl.DataFrame:
    """Six weeks of a world, the last of which the model did not learn from."""
    kept = rows.filter(pl.col("day").is_between(FILLED, TRAINED, closed="left"))
    return kept.with_columns(held_out=pl.col("day") >= TRAINED - 7).sample(min(most, kept.height), seed=1)


def window_of(rows: pl.DataFrame, first: int, days: int = 7) -> pl.DataFrame:
    """The days from `first` on."""
    return rows.filter(pl.col("day").is_between(first, first + days, closed="left"))
