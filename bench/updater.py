"""The updater: events a second on one core, how fresh state is, and bytes an entity, against Feast's push.

    python bench/updater.py [--events 4000] [--cards 2000] [--days 40]

History is materialised into a Redis of the bench's own; then the events of the day after it are applied, each to card
and terminal. "updater" applies what waits in the stream, in batches; "one by one" is the same with batches of one
record. "Feast push" writes the newest event of each card and terminal with `FeatureStore.push`, a call an event and
entity: it keeps no window at all, so it is the least that any state costs there. Freshness is from a record's
acceptance by the stream to its place in state, at a steady rate that one core bears. CPU is this process' own.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import redis
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.types import Float64, String
from machine import machine
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from serving import redis as own_redis
from sluice.features.online import OnlineFeatures
from sluice.ingest import ingest
from sluice.settings import UseCase, read_use_case
from sluice.simulate import World, write_raw
from sluice.updates.producer import Producer, Record
from sluice_serving.updater.building import build
from sluice_serving.updater.metrics import Metrics
from sluice_serving.updater.service import Service

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Rate:
    """One line of the table: events, and the wall and processor seconds that they took."""

    name: str
    events: int
    wall: float
    cpu: float


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--cards", type=int, default=2000)
    parser.add_argument("--days", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch, own_redis() as address:
        if not address:
            raise SystemExit("redis-server is not here")
        folder = Path(scratch)
        places = {"features.online.store": "redis", "features.online.address": address}
        case = read_use_case(ROOT / "use_cases" / "fraud.yaml", places)
        history, events = world(case, folder, given.cards, given.days)
        seconds, size, keys = materialise(case, folder, history)
        records = written(events.head(given.events))
        third = len(records) // 3
        lines = [
            applied("updater", case, folder, records[:third], batch=500),
            applied("updater, one by one", case, folder, records[third : 2 * third], batch=1),
            pushed(address, folder, events.head(given.events)[:third]),
        ]
        fresh = freshness(case, folder, records[2 * third :], rate=0.4 * lines[0].events / lines[0].wall)
    show(lines, fresh, f"{size / keys:,.0f} bytes an entity ({keys:,} entities), rebuilt in {seconds:.1f} s")


def world(case: UseCase, folder: Path, cards: int, days: int) -> tuple[tuple[pl.DataFrame, pl.DataFrame], pl.DataFrame]:
    """History, and the events of the day after it."""
    write_raw(World(days=days + 1, cards=cards, terminals=2 * cards), case.seed, folder / "raw")
    known = ingest(case.until(None), source=str(folder / "raw"), now=datetime.now(UTC))
    last = known.events.get_column("event_time")[-1].replace(hour=0, minute=0, second=0, microsecond=0)
    history = known.events.filter(pl.col("event_time") < last), known.labels.filter(pl.col("label_time") < last)
    return history, known.events.filter(pl.col("event_time") >= last)


def _used(opened: Any) -> int:
    return int(opened.info("memory")["used_memory"])


def materialise(case: UseCase, folder: Path, history: tuple[pl.DataFrame, pl.DataFrame]) -> tuple[float, int, int]:
    """History into Redis: seconds, bytes that Redis grew by (labels that corrections need included), entities."""
    with client(case) as opened:
        before = _used(opened)
        started = time.perf_counter()
        OnlineFeatures.open(case, folder / "online", root=ROOT).materialise(*history)
        seconds = time.perf_counter() - started
        grown = _used(opened) - before
    return seconds, grown, sum(history[0].get_column(name).n_unique() for name in ("card", "terminal"))


def written(events: pl.DataFrame) -> list[Record]:
    """Events as a producer sends them."""
    text = pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    rows = events.select("event_id", text, "card", "terminal", pl.col("amount") / 100)
    return [("event", row) for row in rows.iter_rows(named=True)]


def applied(name: str, case: UseCase, folder: Path, records: list[Record], *, batch: int) -> Rate:
    """Records that wait in the stream, applied by an updater in this process."""
    Producer(case).send(records)
    service = following(case, folder, batch, CollectorRegistry())
    wall, cpu = time.perf_counter(), time.process_time()
    until_dry(service)
    return Rate(name, len(records), time.perf_counter() - wall, time.process_time() - cpu)


def following(case: UseCase, folder: Path, batch: int, registry: CollectorRegistry) -> Service:
    """An updater that holds its partitions."""
    updates = case.features.online.updates.model_copy(update={"batch": batch})
    online = case.features.online.model_copy(update={"updates": updates})
    other = case.model_copy(update={"features": case.features.model_copy(update={"online": online})})
    service = build([other], folder / "updater", name="bench", registry=registry, say=lambda _: None, root=ROOT)
    service.look()
    return service


def until_dry(service: Service) -> None:
    """Apply until nothing waits."""
    while sum(follower.step() for follower in service.followers):
        pass


def freshness(case: UseCase, folder: Path, records: list[Record], *, rate: float) -> tuple[float, float, float]:
    """Milliseconds from acceptance to state, p50 and p99, and the rate in events a second."""
    seen: list[float] = []

    class Noting(Metrics):
        def fresh(self, *given: object) -> None:
            _, _, entries, now = given
            seen.extend((now - entry.accepted) * 1e3 for entry in entries)  # type: ignore[attr-defined]

    service = following(case, folder, 500, CollectorRegistry())
    noting = Noting(CollectorRegistry())
    for follower in service.followers:
        follower._metrics = noting
    thread = threading.Thread(target=service.run)
    thread.start()
    producer, started = Producer(case), time.perf_counter()
    for i, record in enumerate(records):
        time.sleep(max(started + i / rate - time.perf_counter(), 0))
        producer.send([record])
    time.sleep(1)
    service.stop()
    thread.join()
    p50, p99 = np.percentile(seen, [50, 99])
    return float(p50), float(p99), rate


def pushed(address: str, folder: Path, events: pl.DataFrame) -> Rate:
    """Feast's own way: each event pushed, to a view of its card and one of its terminal."""
    place = folder / "feast"
    place.mkdir()
    entities = [Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in ("card", "terminal")]
    sources, views = [], []
    for entity in entities:
        path = str(place / f"{entity.name}.parquet")
        file = FileSource(name=f"{entity.name}_file", path=path, timestamp_field="event_time")
        sources.append(PushSource(name=f"{entity.name}_push", batch_source=file))
        fields = [Field(name=entity.name, dtype=String), Field(name="amount", dtype=Float64)]
        name, ttl = f"last_{entity.name}", timedelta()
        views.append(FeatureView(name=name, entities=[entity], schema=fields, source=sources[-1], ttl=ttl))
        events.select(entity.name, "event_time", "amount").head(1).write_parquet(path)
    config = RepoConfig(
        project="plain",
        registry=str(place / "registry.db"),
        provider="local",
        online_store={"type": "redis", "connection_string": address},
        entity_key_serialization_version=3,
        repo_path=place,
    )
    store = FeatureStore(config=config)
    store.apply([*entities, *sources, *views])
    rows = events.select("card", "terminal", "event_time", pl.col("amount").cast(pl.Float64)).to_pandas()
    wall, cpu = time.perf_counter(), time.process_time()
    for i in range(len(rows)):
        for entity in entities:
            frame: pd.DataFrame = rows.iloc[i : i + 1][[entity.name, "event_time", "amount"]]
            store.push(f"{entity.name}_push", frame)
    return Rate("Feast push, no windows", len(rows), time.perf_counter() - wall, time.process_time() - cpu)


@contextmanager
def client(case: UseCase) -> Iterator[redis.Redis]:
    """An administrator's connection."""
    host, port = str(case.features.online.address).split(":")
    with redis.Redis(host, int(port)) as opened:
        yield opened


def show(lines: list[Rate], fresh: tuple[float, float, float], size: str) -> None:
    """The table."""
    plain = lines[-1]
    table = Table(title=f"events into state, one core ({machine()})", caption=size)
    for column in ("", "events/s", "ratio", "CPU ms an event", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for line in lines:
        rate, cost = line.events / line.wall, line.cpu / line.events
        ratios = rate / (plain.events / plain.wall), cost / (plain.cpu / plain.events)
        table.add_row(line.name, f"{rate:,.0f}", f"{ratios[0]:.1f}", f"{cost * 1e3:.2f}", f"{ratios[1]:.2f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"freshness at {fresh[2]:,.0f} events/s: p50 {fresh[0]:.1f} ms, p99 {fresh[1]:.1f} ms")


if __name__ == "__main__":
    main()
