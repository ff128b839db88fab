"""A small world with history and a next day, versions signed in a registry, and real servers for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sluice import digests
from sluice.export.graph import Graph
from sluice.export.writer import GraphWriter
from sluice.features.historical import feature_names, feature_rows
from sluice.features.online import OnlineFeatures
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.ingest import ingest
from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.settings import UseCase, parse_use_case
from sluice.settings.operation import Storage
from sluice.simulate import World, write_raw
from sluice.storage import open_store
from sluice_serving.traffic.process import ServerProcess

ROOT = Path(__file__).parents[2]
JSON = {"content-type": "application/json"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WITHIN = 240.0
"""Seconds in which whatever is waited for has to happen, on a machine that is busy with something else too."""

SETTINGS: dict[str, Any] = {
    "name": "fraud",
    "task": "binary",
    "seed": 7,
    "data": {
        "source": "nowhere",
        "columns": {
            "event_id": "transaction_id",
            "event_time": "time",
            "entities": {"card": "card_id", "terminal": "terminal_id"},
            "values": {"amount": {"type": "number", "unit": 0.01, "min": 0, "max": 1000000}},
            "label": "fraud",
            "label_time": "fraud_known_at",
        },
    },
    "features": {
        "repo": "feature_repo",
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
    "serving": {"max_batch": 50, "max_body": "64KiB"},
}


def case(**sections: Any) -> UseCase:
    """The use case with some sections' settings changed, and plain ones and the split replaced."""
    changed = {
        name: {**SETTINGS.get(name, {}), **given} if isinstance(given, dict) and name != "split" else given
        for name, given in sections.items()
    }
    return parse_use_case({**SETTINGS, **changed})


@dataclass(frozen=True)
class WorldTables:
    """History until `start`, the day after it, and what the offline computation says about that day."""

    use_case: UseCase
    source: Path
    start: datetime
    events: pl.DataFrame
    labels: pl.DataFrame
    day: pl.DataFrame
    day_labels: pl.DataFrame
    rows: pl.DataFrame

    def before(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Events and labels that the online store is made from."""
        return (
            self.events.filter(pl.col("event_time") < self.start),
            self.labels.filter(pl.col("label_time") < self.start),
        )


@dataclass(frozen=True)
class Deployed:
    """A signed version in a folder, as a server gets it."""

    use_case: UseCase
    schema: FeatureSchema
    graph: Graph
    folder: Path
    digest: str
    keys: Path
    registry: Registry

    def arguments(self, online: Path, **options: str) -> list[str]:
        """Of `python -m sluice_serving`."""
        given = {"digest": self.digest, "keys": str(self.keys), "online": str(online), "root": str(ROOT), **options}
        return [str(self.folder), *(word for name, value in given.items() for word in (f"--{name}", value))]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> WorldTables:
    """45 days of 60 cards and 40 terminals; the last day is the one to replay."""
    use_case = case()
    source = tmp_path_factory.mktemp("raw")
    write_raw(World(days=45, cards=60, terminals=40, radius=40.0, terminal_rate=0.05), 3, source)
    known = ingest(use_case, source=str(source), now=NOW)
    last = known.events.get_column("event_time").max()
    assert isinstance(last, datetime)
    start = last.replace(hour=0, minute=0, second=0, microsecond=0)
    day = known.events.filter(pl.col("event_time") >= start)
    labels = known.labels.filter((pl.col("label_time") >= start) & (pl.col("label_time") < start + DAY))
    rows = feature_rows(use_case, known.events, known.labels, questions=day, root=ROOT)
    return WorldTables(use_case, source, start, known.events, known.labels, day, labels, rows)


def deploy(
    use_case: UseCase,
    folder: Path,
    *,
    seed: int = 0,
    names: list[str] | None = None,
    beside: Deployed | None = None,
    graph: bytes | None = None,
    evidence: dict[str, Path | bytes] | None = None,
) -> Deployed:
    """A version with a random linear model, stored, signed and fetched through the registry.

    Args:
        graph: another model than that.
        evidence: what its promotion rests on.
        beside: the champion in whose registry this one is a cleared challenger; default: it is the champion of its own.
    """
    names = names or feature_names(use_case, root=ROOT)
    categories = {n for n, v in use_case.data.columns.values.items() if v.type == "category"}
    columns = (
        FeatureColumn(n, "category", vocabulary=("x", "y")) if n in categories else FeatureColumn(n, fill=0.0)
        for n in names
    )
    schema = FeatureSchema(tuple(columns))
    graph = graph or linear_graph(use_case, len(names), seed)
    files = folder / "files"
    files.mkdir(parents=True)
    (files / "model.onnx").write_bytes(graph)
    (files / "schema.json").write_bytes(digests.canonical_json(schema.document()))
    (files / "settings.json").write_text(use_case.model_dump_json(by_alias=True))
    keys = beside.keys if beside else folder / "keys"
    registry = beside.registry if beside else _registry(use_case, folder / "store", keys)
    version = registry.add_version(files, {"seed": seed, "score_levels": [k / 10 for k in range(1, 10)]})
    if beside:
        registry.settle("cleared", version=version.digest, against=beside.digest)
    else:
        registry.decide("promoted", version=version.digest, expected_head=0, reason="test", evidence=evidence)
    fetched = registry.fetch(version, folder / "version")
    return Deployed(use_case, schema, Graph(graph), fetched, version.digest, keys, registry)


def _registry(use_case: UseCase, store: Path, keys: Path) -> Registry:
    opened = open_store(Storage(url=str(store)))
    return Registry(opened, use_case.name, clock=lambda: datetime.now(UTC), actor="test", keys=Keys.ensure(keys))


def linear_graph(use_case: UseCase, width: int, seed: int) -> bytes:
    """A linear model on scaled features."""
    random = np.random.default_rng(seed)
    classes = len(use_case.data.labels.classes) if use_case.task == "multiclass" else 1
    writer = GraphWriter(width, opset=17)
    scaled = writer.scale(writer.input, np.full(width, 5.0), np.full(width, 0.01))
    logits = writer.affine(scaled, random.normal(size=(width, classes)), np.zeros(classes))
    return writer.finish(writer.link(logits, use_case.task), classes if classes > 1 else 0)


@pytest.fixture(scope="session")
def deployed(world: WorldTables, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The version that most tests serve."""
    return deploy(world.use_case, tmp_path_factory.mktemp("deployed"))


@pytest.fixture(scope="session")
def history_state(world: WorldTables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The online store's folder after history; copy it before changing it."""
    folder = tmp_path_factory.mktemp("online")
    OnlineFeatures.open(world.use_case, folder, root=ROOT).materialise(*world.before())
    return folder


@pytest.fixture
def state(history_state: Path, tmp_path: Path) -> Path:
    """A copy of the online store after history."""
    return Path(shutil.copytree(history_state, tmp_path / "online"))


Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start real servers: `start(deployed, online_folder, port=0, **options)`; all are stopped in the end."""
    servers: list[ServerProcess] = []

    def started(version: Deployed, online: Path, *, port: int = 0, **options: str) -> ServerProcess:
        server = ServerProcess(version.arguments(online, **options), tmp_path / f"{len(servers)}.log", port=port)
        servers.append(server)
        server.wait_ready(WITHIN)
        return server

    yield started
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def endpoint(
    world: WorldTables, deployed: Deployed, history_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One real server for all tests that only ask; its state is history's."""
    folder = tmp_path_factory.mktemp("endpoint")
    online = shutil.copytree(history_state, folder / "online")
    server = ServerProcess(deployed.arguments(online), folder / "server.log")
    server.wait_ready(WITHIN)
    yield server.address
    server.stop()


def instance(row: dict[str, Any]) -> dict[str, Any]:
    """An event as a request's instance, in natural units."""
    time = row["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "event_id": row["event_id"],
        "event_time": time,
        "card": row["card"],
        "terminal": row["terminal"],
        "amount": row["amount"] / 100,
    }


def body(*instances: dict[str, Any]) -> bytes:
    """A V1 body."""
    return json.dumps({"instances": list(instances)}).encode()
