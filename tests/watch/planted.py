"""A planted world: raw events with late labels, a signed champion with its promise, and a ledger of its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from watched import case

from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.ledger.layout import partition_of
from sluice.ledger.tables import FEATURES, RESPONSES, encode
from sluice.registry import Registry, open_registry
from sluice.settings import UseCase

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
"""A Thursday: windows of seven days since 1970 begin on Thursdays."""
DAY = timedelta(days=1)
LATE = 7 * DAY
SCHEMA = FeatureSchema((FeatureColumn("amount"),))


@dataclass
class Planted:
    """The world's places, and its events with scores."""

    use_case: UseCase
    registry: Registry
    version: str
    events: pl.DataFrame

    def answer(self, first: int, last: int, *, amount: float = 1.0, flip: bool = False) -> None:
        """Let the champion answer the events of days `first` to `last` (not included)."""
        low, high = START + first * DAY, START + last * DAY
        rows = self.events.filter((pl.col("time") >= low) & (pl.col("time") < high))
        score = 1 - pl.col("score") if flip else pl.col("score")
        log_answers(self.registry, self.version, rows.with_columns(score=score, amount=pl.col("amount") * amount))


def log_answers(registry: Registry, version: str, rows: pl.DataFrame) -> None:
    """Put answers of a version, a second after each event, into the ledger: `id`, `time`, `score`, `amount`."""
    for (day,), part in rows.group_by([pl.col("time").dt.date()]):
        table = pl.DataFrame(
            {
                "source": ["http://pod/"] * part.height,
                "id": part["id"],
                "time": part["time"] + timedelta(seconds=1),
                "row": [0] * part.height,
                "event_id": part["id"],
                "score": part["score"].cast(pl.Float32),
                "version": [version] * part.height,
            },
            schema_overrides={"time": pl.Datetime("us", "UTC"), "row": pl.Int32},
        )
        table = pl.concat([RESPONSES.to_frame(), table], how="diagonal")
        values = pl.Series(FEATURES, [{"amount": float(a)} for a in part["amount"]])
        table = table.with_columns(values.cast(pl.Struct({"amount": pl.Float32})))
        when = table["time"][0]
        assert isinstance(when, datetime)
        where = partition_of("fraud", "responses", version, when).prefix
        registry.store.put(f"{where}/{day}.parquet", encode(table))


def planted(folder: Path, *, per_day: int = 120, days: int = 100, **settings: object) -> Planted:
    """Days 0 to 50 are what the champion was trained and judged on; it may answer those from day 51 on."""
    random = np.random.default_rng(5)
    count = per_day * days
    label = random.random(count) < 0.15
    score = 1 / (1 + np.exp(-(random.normal(0, 1, count) + 3 * label - 2.6)))
    seconds = np.sort(random.integers(0, 86_400, (days, per_day)), axis=1) + 86_400 * np.arange(days)[:, None]
    time = pl.Series([START + timedelta(seconds=int(s)) for s in seconds.ravel()], dtype=pl.Datetime("us", "UTC"))
    raw = pl.DataFrame(
        {
            "transaction_id": [f"e{n}" for n in range(count)],
            "time": time,
            "card_id": [f"c{n}" for n in random.integers(0, 300, count)],
            "terminal_id": [f"t{n}" for n in random.integers(0, 60, count)],
            "amount": np.round(random.lognormal(3, 0.6, count), 2),
            "fraud": label.astype(np.int8),
            "fraud_known_at": time + LATE,
        }
    )
    (folder / "raw").mkdir()
    raw.write_parquet(folder / "raw" / "part.parquet")
    use_case = case(
        data__source=str(folder / "raw"),
        data__end="2030-01-01T00:00:00Z",
        storage__url=str(folder / "store"),
        storage__keys=str(folder / "keys"),
        **{
            "evaluation__bootstrap__resamples": 200,
            "watch__draws": 200,
            "watch__classifier__draws": 40,
            "watch__classifier__rows": 200,
            "watch__performance__min_rows": 50,
            **settings,
        },
    )
    events = raw.select(id="transaction_id", time="time", amount="amount", terminal="terminal_id")
    events = events.with_columns(score=pl.Series(score.astype(np.float32)), label=pl.Series(label.astype(float)))
    registry = open_registry(use_case, clock=lambda: NOW, actor="gate of run first")
    return Planted(use_case, registry, _champion(registry, use_case, events, folder), events)


def _champion(registry: Registry, use_case: UseCase, events: pl.DataFrame, folder: Path) -> str:
    version = folder / "version"
    version.mkdir()
    (version / "model.onnx").write_text("graph")
    (version / "schema.json").write_text(json.dumps(SCHEMA.document()))
    document = use_case.model_dump(mode="json", by_alias=True, exclude={"storage", "pipeline", "gate", "watch"})
    (version / "settings.json").write_text(json.dumps(document))
    digest = registry.add_version(version, {"threshold": 0.5}).digest
    sealed = events.filter(pl.col("time").is_between(START + 43 * DAY, START + 51 * DAY))
    sealed.select(event_id="id", label="label", challenger="score").write_parquet(folder / "sealed_scores.parquet")
    seen = events.filter(pl.col("time") < START + 42 * DAY)
    reference = seen.select(
        "amount", "score", event_id="id", event_time="time", held_out=pl.col("time") >= START + 35 * DAY
    )
    reference.with_columns(pl.col("amount").cast(pl.Float32)).write_parquet(folder / "reference.parquet")
    evidence = {name: folder / name for name in ("sealed_scores.parquet", "reference.parquet")}
    registry.settle("promoted", version=digest, against=None, evidence=evidence)
    return digest
