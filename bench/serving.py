"""Serving: p50, p99 and requests a second of one server on one core, with feature look-up and without.

    python bench/serving.py [--requests 3000] [--cards 2000] [--days 40]

One simulated history is materialised into SQLite and, where it is installed, into Redis; requests are the events of the
day after it, in order. The server runs on one core, the client on the others. "without look-up" is the same server and
graph with the amount instead of every feature; ONNX Runtime is called in this process. Latencies are of one connection
that waits for each answer, requests a second of four at once. CPU is what the server's process used for a row,
which other load on the machine changes least. Ratios are to the server without look-up. Feast's feature server, which
only looks stored numbers up, runs as it does by itself, on any core.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson
import polars as pl
from feast_server import ask_feast, feast_server, requests
from machine import machine
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
WITHIN = 600.0
"""Seconds in which a server has to be ready, on a machine that is busy with something else too."""


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    name: str
    p50_ms: float
    p99_ms: float
    rate: float
    cpu_ms: float
    rows: int = 1


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
            lines.append(measure("V1 with look-up, 50 rows a request", running, case.name, batches(v1, 50), rows=50))
            for size in (1, 10, 50, 200):
                text = f"V2 with look-up, {size} rows a request" if size > 1 else "V2 with look-up"
                lines.append(measure(text, running, case.name, tensors(events.head(given.requests), size), "V2", size))
        with redis() as address:
            if address:
                lines.append(in_redis(address, folder / "redis", given, graph, names))
        with server(without_windows(case, len(names)), folder / "without", folder / "none", graph, None) as running:
            lines.append(measure("V1 without look-up", running, case.name, v1))
        lines.append(feast_alone(folder / "feast", events.head(given.requests)))
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


@contextmanager
def redis() -> Iterator[str]:
    """host:port of a redis-server of our own while the block lasts; empty where the program is not here."""
    program = shutil.which("redis-server")
    if program is None:
        yield ""
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--loglevel", "warning"], stdout=subprocess.DEVNULL
    )
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def in_redis(address: str, folder: Path, given: argparse.Namespace, graph: bytes, names: list[str]) -> Measured:
    """The same requests with the same state in Redis."""
    places = {"features.online.store": "redis", "features.online.address": address}
    case = read_use_case(ROOT / "use_cases" / "fraud.yaml", places)
    events = materialise(case, folder, given.cards, given.days)
    with server(case, folder / "with", folder / "online", graph, names) as running:
        return measure("V1 with look-up in Redis", running, case.name, bodies(events.head(given.requests)))


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
        process.wait_ready(WITHIN)
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


def tensors(events: pl.DataFrame, size: int) -> list[bytes]:
    """V2 bodies of `size` rows: a tensor a field, only the scores asked for."""
    time_text = pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    rows = events.select("event_id", time_text, "card", "terminal", pl.col("amount") / 100)
    kinds = ("BYTES", "BYTES", "BYTES", "BYTES", "FP64")
    made = []
    for part in rows.iter_slices(size):
        inputs = [
            {"name": column.name, "shape": [part.height], "datatype": kind, "data": column.to_list()}
            for column, kind in zip(part.get_columns(), kinds, strict=True)
        ]
        made.append(orjson.dumps({"inputs": inputs, "outputs": [{"name": "scores"}]}))
    return made


def measure(
    name: str, running: ServerProcess, model: str, sent: list[bytes], protocol: str = "V1", rows: int = 1
) -> Measured:
    """One connection for latencies, then several for requests a second."""
    asking = ask if protocol == "V1" else ask_v2
    return timed(name, lambda part: asking(running.address, model, part), sent, running.process.pid, rows)


def timed(name: str, asking: Callable[[list[bytes]], list[float]], sent: list[bytes], pid: int, rows: int) -> Measured:
    """Latencies and CPU of one connection, then requests a second of several."""
    asking(sent[:200])
    used = cpu_seconds(pid)
    took = np.array(asking(sent)) * 1e3
    used = cpu_seconds(pid) - used
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda i: asking(sent[i::CONNECTIONS]), range(CONNECTIONS)))
    rate = len(sent) / (time.perf_counter() - started)
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    return Measured(name, p50, p99, rate, used * 1e3 / len(sent), rows)


def feast_alone(folder: Path, events: pl.DataFrame) -> Measured:
    """Feast's feature server: twelve stored numbers of a card, no windows and no model."""
    cards = events.get_column("card").to_list()
    with feast_server(folder, sorted(set(cards))) as (host, port, pid):
        return timed(
            "Feast's feature server, look-up alone", lambda part: ask_feast(host, port, part), requests(cards), pid, 1
        )


def ask_v2(address: str, model: str, sent: list[bytes]) -> list[float]:
    """Seconds that each V2 request took."""
    place, took = urlsplit(address), []
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    for body in sent:
        started = time.perf_counter()
        connection.request("POST", f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = response.read()
        took.append(time.perf_counter() - started)
        if response.status != 200:
            raise SystemExit(f"V2: {response.status}: {data[:300]!r}")
    connection.close()
    return took


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
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
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    return Measured("ONNX Runtime alone", p50, p99, 1e3 / float(np.mean(took)), used)


def show(lines: list[Measured]) -> None:
    """The table."""
    plain = next(line for line in lines if line.name == "V1 without look-up")
    table = Table(title=f"one server on one core ({machine()})")
    for column in ("", "p50 ms", "p99 ms", "requests/s", "rows/s", "CPU ms a row", "p50 ratio", "rows/s ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for line in lines:
        pairs = (line.p50_ms, plain.p50_ms), (line.rate * line.rows, plain.rate)
        figures = [f"{line.p50_ms:.3f}", f"{line.p99_ms:.3f}", f"{line.rate:,.0f}", f"{line.rate * line.rows:,.0f}"]
        figures.append(f"{line.cpu_ms / line.rows:.3f}")
        table.add_row(line.name, *figures, *(f"{mine / other:.2f}" for mine, other in pairs))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
