"""Serving: p50, p99 and requests a second of one server on one core, with feature look-up and without.

    python bench/serving.py [--requests 3000] [--cards 2000] [--days 40]

One simulated history is materialised into SQLite; requests are the events of the day after it, in order. The server
runs on one core, the client on the others. "without look-up" is the same server and graph with the amount instead of
every feature; ONNX Runtime is called in this process. Latencies are of one connection that waits for each answer,
requests a second of four at once. CPU is what the server's process used for a request, which other load on the machine
changes least. Ratios are to the server without look-up.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import polars as pl
from rich.console import Console
from rich.table import Table

from sluice import digests
from sluice.export.graph import Graph
from sluice.export.writer import GraphWriter
from sluice.features.historical import feature_names
from sluice.features.online import OnlineFeatures
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.ingest import ingest
from sluice.registry.version import fetch_version, store_version
from sluice.settings import UseCase, parse_use_case, read_use_case
from sluice.settings.operation import Storage
from sluice.simulate import World, write_raw
from sluice.storage import open_store
from sluice_serving.client import Client
from sluice_serving.traffic.process import ServerProcess

ROOT = Path(__file__).parents[1]
CONNECTIONS = 4
HIDDEN = 96


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    name: str
    p50_ms: float
    p99_ms: float
    rate: float
    cpu_ms: float


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--cards", type=int, default=2000)
    parser.add_argument("--days", type=int, default=40)
    given = parser.parse_args()
    case = read_use_case(ROOT / "use_cases" / "fraud.yaml")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        names = feature_names(case, root=ROOT)
        graph = network(len(names))
        events = materialise(case, folder, given.cards, given.days)
        v1 = bodies(events.head(given.requests))
        lines = []
        with server(case, folder / "with", folder / "online", graph, names) as running:
            lines.append(measure("V1 with look-up", running, case.name, v1))
            lines.append(measure("V1 with look-up, 50 rows a request", running, case.name, batches(v1, 50)))
        with server(without_windows(case, len(names)), folder / "without", folder / "none", graph, None) as running:
            lines.append(measure("V1 without look-up", running, case.name, v1))
        lines.append(bare(graph, len(names), given.requests))
    show(lines)


def materialise(case: UseCase, folder: Path, cards: int, days: int) -> pl.DataFrame:
    """History into the online store; the events of the day after it."""
    write_raw(World(days=days + 1, cards=cards, terminals=2 * cards), case.seed, folder / "raw")
    known = ingest(case, source=str(folder / "raw"), now=datetime.now(UTC))
    last = known.events.get_column("event_time")[-1].replace(hour=0, minute=0, second=0, microsecond=0)
    history = known.events.filter(pl.col("event_time") < last), known.labels.filter(pl.col("label_time") < last)
    OnlineFeatures.open(case, folder / "online", root=ROOT).materialise(*history)
    return known.events.filter(pl.col("event_time") >= last)


def without_windows(case: UseCase, width: int) -> UseCase:
    """The same bodies; features are the amount, as many times as there were features."""
    document = case.model_dump(mode="json", by_alias=True)
    amounts = [{"kind": "value", "name": f"f{i}", "column": "amount"} for i in range(width)]
    document["features"] |= {"repo": None, "service": None, "request": amounts}
    document["evaluation"] |= {"slices": []}
    return parse_use_case(document)


def network(width: int) -> bytes:
    """A network of the size that the fraud use case trains, with random weights."""
    draw = np.random.default_rng(0)
    writer = GraphWriter(width, opset=17)
    value = writer.scale(writer.input, np.zeros(width), np.full(width, 1e-3))
    for columns in (width, HIDDEN, HIDDEN):
        weight = draw.normal(size=(columns, HIDDEN)) / columns**0.5
        value = writer.node("Relu", writer.affine(value, weight, np.zeros(HIDDEN)))
    return writer.finish(writer.link(writer.affine(value, draw.normal(size=(HIDDEN, 1)), np.zeros(1)), "binary"))


@contextmanager
def server(case: UseCase, folder: Path, online: Path, graph: bytes, names: list[str] | None) -> Iterator[ServerProcess]:
    """A server on one core for a version with this graph."""
    names = names or [feature.name for feature in case.features.request]
    schema = FeatureSchema(tuple(FeatureColumn(name, fill=0.0) for name in names))
    files = folder / "files"
    files.mkdir(parents=True)
    (files / "model.onnx").write_bytes(graph)
    (files / "schema.json").write_bytes(digests.canonical_json(schema.document()))
    (files / "settings.json").write_text(case.model_dump_json(by_alias=True))
    store = open_store(Storage(url=str(folder / "store")))
    version = store_version(store, case.name, files, {})
    fetched = fetch_version(store, version, folder / "version")
    arguments = [str(fetched), "--digest", version.digest, "--digest-only"]
    arguments += ["--online", str(online), "--root", str(ROOT)]
    process = ServerProcess(arguments, folder / "server.log")
    cores = sorted(os.sched_getaffinity(0))
    try:
        process.wait_ready(120)
        if len(cores) > 1:
            for thread in Path(f"/proc/{process.process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores[:1])
            os.sched_setaffinity(0, cores[1:])
        yield process
    finally:
        os.sched_setaffinity(0, cores)
        process.stop()


def bodies(events: pl.DataFrame) -> list[bytes]:
    """V1 bodies of one row."""
    time_text = pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    rows = events.select("event_id", "card", "terminal", time_text, pl.col("amount") / 100)
    return [orjson.dumps({"instances": [row]}) for row in rows.iter_rows(named=True)]


def batches(single: list[bytes], size: int) -> list[bytes]:
    """The same rows, `size` a request."""
    rows = [orjson.loads(body)["instances"][0] for body in single]
    return [orjson.dumps({"instances": rows[i : i + size]}) for i in range(0, len(rows), size)]


def measure(name: str, running: ServerProcess, model: str, sent: list[bytes]) -> Measured:
    """One connection for latencies, then several for requests a second."""
    address = running.address
    ask(address, model, sent[:200])
    used = cpu_seconds(running)
    took = np.array(ask(address, model, sent)) * 1e3
    used = cpu_seconds(running) - used
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda i: ask(address, model, sent[i::CONNECTIONS]), range(CONNECTIONS)))
    rate = len(sent) / (time.perf_counter() - started)
    return Measured(name, *np.percentile(took, [50, 99]), rate, used * 1e3 / len(sent))


def cpu_seconds(running: ServerProcess) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(address: str, model: str, sent: list[bytes]) -> list[float]:
    """Seconds that each request took."""
    client, took = Client(address, model), []
    for body in sent:
        started = time.perf_counter()
        client.predict(body)
        took.append(time.perf_counter() - started)
    client.close()
    return took


def bare(graph: bytes, width: int, count: int) -> Measured:
    """ONNX Runtime alone, a row at a time."""
    session, row = Graph(graph, threads=1), np.zeros((1, width), dtype=np.float32)
    took, used = [], time.process_time()
    for _ in range(count):
        started = time.perf_counter()
        session.score(row)
        took.append((time.perf_counter() - started) * 1e3)
    used = (time.process_time() - used) * 1e3 / count
    return Measured("ONNX Runtime alone", *np.percentile(took, [50, 99]), 1e3 / float(np.mean(took)), used)


def show(lines: list[Measured]) -> None:
    """The table."""
    plain = next(line for line in lines if line.name == "V1 without look-up")
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table(title=f"one server on one core ({machine})")
    for column in ("", "p50 ms", "p99 ms", "requests/s", "CPU ms", "p50 ratio", "requests/s ratio", "CPU ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for line in lines:
        pairs = (line.p50_ms, plain.p50_ms), (line.rate, plain.rate), (line.cpu_ms, plain.cpu_ms)
        figures = f"{line.p50_ms:.3f}", f"{line.p99_ms:.3f}", f"{line.rate:,.0f}", f"{line.cpu_ms:.3f}"
        table.add_row(line.name, *figures, *(f"{mine / other:.2f}" for mine, other in pairs))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
