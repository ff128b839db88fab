"""A small world whose last day comes over a stream, and what the offline computation says about it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry

from sluice.features.historical import feature_rows
from sluice.features.lookup import Requests
from sluice.features.online import OnlineFeatures
from sluice.features.opened import Opened
from sluice.features.repository import read_repository, service_of
from sluice.features.rows import state_arrays
from sluice.settings import UseCase, parse_use_case
from sluice.simulate import World, simulate
from sluice.updates.producer import Record
from sluice.windows.state import TileState, from_arrays
from sluice_serving.updater.building import build
from sluice_serving.updater.service import Service

ROOT = Path(__file__).parents[2]
WITHIN = 120.0
DAY = timedelta(days=1)


def case(address: str | None = None, *, repo: Path | None = None, service: str = "fraud_v1", **online: Any) -> UseCase:
    """The use case, its state in Redis at `address` (None: in a folder), with other settings of `features.online`."""
    place = {"store": "sqlite"} if address is None else {"store": "redis", "address": address}
    return parse_use_case(
        {
            "name": "fraud",
            "task": "binary",
            "seed": 7,
            "data": {
                "source": "nowhere",
                "columns": {
                    "event_id": "transaction_id",
                    "event_time": "time",
                    "arrival": "arrived",
                    "entities": {"card": "card_id", "terminal": "terminal_id"},
                    "values": {"amount": {"type": "number", "unit": 0.01, "min": 0}},
                    "label": "fraud",
                    "label_time": "fraud_known_at",
                },
            },
            "features": {
                "repo": str(repo or ROOT / "feature_repo"),
                "service": service,
                "request": [{"kind": "value", "name": "amount", "column": "amount"}],
                "online": {**place, **online},
            },
            "split": {"by": "time", "train": "20d", "validation": "7d", "gap": "7d", "test": "7d"},
            "training": {"metric": "average_precision", "candidates": [{"id": "constant", "kind": "constant"}]},
            "gate": {"metric": "average_precision"},
        }
    )


@dataclass(frozen=True)
class Streamed:
    """History until `start`, and the records of the day after it in the order of their arrival."""

    start: datetime
    events: pl.DataFrame
    labels: pl.DataFrame
    records: list[Record]

    def before(self, instant: datetime | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What had arrived at an instant; default: the start of the day."""
        when = instant or self.start
        return self.events.filter(pl.col("arrival") < when), self.labels.filter(pl.col("label_time") < when)

    def delivered(self, seed: int) -> list[Record]:
        """The day's records as streams deliver them: some twice, some after what came later."""
        draw = random.Random(seed)
        keyed = [(i + draw.choice([0, 0, 0, draw.uniform(0, 150)]), r) for i, r in enumerate(self.records)]
        keyed += [(at + draw.uniform(0, 50), record) for at, record in draw.sample(keyed, len(keyed) // 20)]
        return [record for _, record in sorted(keyed, key=lambda pair: pair[0])]


@cache
def streamed(days: int = 40, cards: int = 300, terminals: int = 150) -> Streamed:
    """A world; every tenth event arrives up to an hour late, and some labels of the last day are corrected on it."""
    raw, _ = simulate(World(days=days, cards=cards, terminals=terminals, radius=30.0, terminal_rate=0.02), 3)
    late = pl.when(pl.int_range(pl.len()) % 10 == 7).then(pl.int_range(pl.len()) * 7919 % 3600).otherwise(0)
    events = raw.select(
        event_id=pl.format("t{}", pl.col("transaction_id").cast(pl.String).str.zfill(7)),
        event_time=pl.col("time").dt.cast_time_unit("us"),
        arrival=(pl.col("time") + pl.duration(seconds=late)).dt.cast_time_unit("us"),
        card=pl.format("c{}", "card_id"),
        terminal=pl.format("m{}", "terminal_id"),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64),
        label=pl.col("fraud").cast(pl.Float64),
        label_time=pl.col("fraud_known_at").dt.cast_time_unit("us"),
    ).sort("event_time", "event_id")
    last = events["event_time"].max()
    assert isinstance(last, datetime)
    start = last.replace(hour=0, minute=0, second=0, microsecond=0)
    events = events.filter(pl.col("arrival") < start + DAY)
    labels = events.select("event_id", "label", "label_time", "event_time", "card", "terminal")
    labels = labels.filter(pl.col("label_time") < start + DAY)
    wrong = labels.filter(pl.col("label_time") < start + DAY / 2).tail(40)
    corrected = wrong.with_columns(label=1 - pl.col("label"), label_time=pl.col("label_time") + timedelta(hours=11))
    labels = pl.concat([labels, corrected]).sort("label_time", "event_id")
    return Streamed(start, events.drop("label", "label_time"), labels, _records(events, labels, start))


def _records(events: pl.DataFrame, labels: pl.DataFrame, start: datetime) -> list[Record]:
    new = events.filter(pl.col("arrival") >= start).with_columns(amount=pl.col("amount") / 100)
    rows: list[tuple[datetime, Record]] = []
    for row in new.drop("label", "label_time").iter_rows(named=True):
        rows.append((row["arrival"], ("event", _written(row))))
    for row in labels.filter(pl.col("label_time") >= start).iter_rows(named=True):
        rows.append((row["label_time"], ("label", _written(row))))
    return [record for _, record in sorted(rows, key=lambda pair: pair[0])]


def _written(row: dict[str, Any]) -> dict[str, Any]:
    return {n: v.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(v, datetime) else v for n, v in row.items()}


def updater(
    use_cases: list[UseCase], work: Path, name: str = "one", registry: CollectorRegistry | None = None
) -> Service:
    """An updater in this process."""
    return build(use_cases, work, name=name, registry=registry or CollectorRegistry(), say=lambda _: None)


def open_state(use_case: UseCase, folder: Path) -> Opened:
    """The state of a use case's feature service."""
    repository = read_repository(Path(str(use_case.features.repo)))
    return Opened.at(use_case, repository, service_of(repository, str(use_case.features.service)), folder)


def states(opened: Opened, keys: dict[str, list[str]]) -> dict[tuple[str, str], TileState]:
    """All tile states by view and key."""
    found = {}
    for part in opened.parts:
        names = keys[part.view.entity]
        for key, row in zip(names, opened.store.read(part.twin, names), strict=True):
            if row is not None:
                found[part.view.name, key] = from_arrays(part.view, state_arrays(row))
    return found


def differences(left: dict[tuple[str, str], TileState], right: dict[tuple[str, str], TileState]) -> list[str]:
    """What is not equal in every number."""
    different = [f"{name} only once" for name in left.keys() ^ right.keys()]
    for name in left.keys() & right.keys():
        for field in ("tile_index", "tile_stats", "recent", "recent_ids", "time", "arrival"):
            if not np.array_equal(getattr(left[name], field), getattr(right[name], field)):
                different.append(f"{name}: {field}")
    return sorted(different)


def keys_of(world: Streamed) -> dict[str, list[str]]:
    """All keys of each entity."""
    return {entity: world.events[entity].unique(maintain_order=True).to_list() for entity in ("card", "terminal")}


def questions(world: Streamed, at: datetime) -> pl.DataFrame:
    """An event of each card and each terminal, no two about the same one."""
    keys = keys_of(world)
    count = max(map(len, keys.values()))
    padded = {entity: names + [f"new-{i}" for i in range(count - len(names))] for entity, names in keys.items()}
    ids = [f"q{i}" for i in range(count)]
    table = pl.DataFrame({"event_id": ids, **padded, "amount": [1000 + i for i in range(count)]})
    instant = pl.lit(at).dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return table.with_columns(event_time=instant, arrival=instant).select(world.events.columns)


def wrong_features(online: OnlineFeatures, use_case: UseCase, world: Streamed, at: datetime) -> list[str]:
    """Features that are not the bits of the offline sweep, asked about every key at an instant."""
    asked = questions(world, at)
    expected = feature_rows(use_case, pl.concat([world.events, asked]), world.labels, questions=asked)
    times = asked["event_time"].to_physical().to_numpy()
    entities = {name: asked[name].to_list() for name in ("card", "terminal")}
    composed = online.compose(Requests(asked["event_id"].to_list(), times, entities, {"amount": asked["amount"]}))
    return [
        name
        for name, values in composed.columns.items()
        if not np.array_equal(values, expected[name].cast(pl.Float64).to_numpy(), equal_nan=True)
    ]


def eventually(check: Callable[[], bool], every: float = 0.01) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + WITHIN
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(every)
