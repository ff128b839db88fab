"""The payload ledger: events a second on one core, bytes an event, and memory, against two plain ways in the same run.

    python bench/payloads.py [--events 30000] [--connections 32]

The receiver runs on one core, the senders on the others. Events are the requests and V1 answers of a model of 15
features, one row each. "a file an event" has the same HTTP side and writes each event as JSON to a file of its own
(synced, then renamed: as durable as the spool); "wait for the store" acknowledges a group of events when its Parquet
files are in the store, without a spool. All stores are folders on the same disk. Bytes are what the files take on the
disk, in whole blocks. Acknowledgements are of `--connections` senders that wait for each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvicorn
from machine import machine
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from sluice.ledger import answers, compact
from sluice.ledger.tables import encode
from sluice.payloads.callers import Callers, admit
from sluice.payloads.events import Event
from sluice.settings.operation import Storage
from sluice.settings.payloads import Payloads
from sluice.storage import open_store
from sluice_serving.listening import listen
from sluice_serving.payloads.application import Application
from sluice_serving.payloads.metrics import ReceiverMetrics
from sluice_serving.payloads.rows import tables

WIDTH = 15
OURS = "spool, then Parquet"
PLAIN = {"a file an event": 0.1, "wait for the store": 0.1}
"""Names, and the share of the events that they get: they are slower."""


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    name: str
    rate: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    bytes_an_event: float
    files: int
    megabytes: tuple[float, ...]


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve_plainly(given.serve[0], Path(given.serve[1]))
        return
    lines, compacted = [], 0.0
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        for name, share in {OURS: 1.0, **PLAIN}.items():
            folder = Path(scratch) / name.replace(" ", "-").replace(",", "")
            folder.mkdir()
            lines.append(measure(name, folder, int(given.events * share), given.connections))
            if name == OURS:
                compacted = compact_all(folder, lines[-1])
    show(lines, given, compacted)


def measure(name: str, folder: Path, count: int, connections: int) -> Measured:
    """Send `count` events, after a tenth of that to warm up."""
    token = admit(folder / "callers.yaml", "bench", None)
    with server(name, folder) as (process, address):
        send(address, token, "warm", count // 10, connections)
        used, begun, memory = cpu_seconds(process), time.perf_counter(), [resident(process)]
        took = []
        for part in ("first", "second"):
            took += send(address, token, part, count // 2, connections)
            memory.append(resident(process))
        seconds, used = time.perf_counter() - begun, cpu_seconds(process) - used
    files = [path for path in (folder / "store").rglob("*") if path.is_file()]
    size = sum(path.stat().st_blocks * 512 for path in files)
    p50, p99 = np.percentile(np.array(took) * 1e3, [50, 99])
    count, whole = len(took), len(took) + 2 * (count // 20)
    return Measured(name, count / seconds, used * 1e3 / count, p50, p99, size / whole, len(files), tuple(memory))


def compact_all(folder: Path, line: Measured) -> float:
    """Bytes an event after compaction; every event has to be there, once."""
    store = open_store(Storage(url=str(folder / "store")))
    now = datetime.now(UTC)
    compact(store, "fraud", Payloads(compact_from=2), now=now)
    found = answers(store, "fraud", now - timedelta(days=1), now, answer_within=timedelta(minutes=1))
    held = 2 * found.frame.height
    size = sum(path.stat().st_blocks * 512 for path in (folder / "store").rglob("*") if path.is_file())
    assert found.unanswered.height == 0 and found.without_request == 0 and line.rate > 0
    return size / held


@contextmanager
def server(name: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A receiver on one core; the senders have the others."""
    cores = sorted(os.sched_getaffinity(0))
    if name == OURS:
        command = [sys.executable, "-m", "sluice_serving.payloads", "--spool", str(folder / "spool")]
        command += ["--callers", str(folder / "callers.yaml")]
    else:
        command = [sys.executable, __file__, "--serve", name, str(folder)]
    os.sched_setaffinity(0, cores[:1])
    told = {**os.environ, "SLUICE_STORE_URL": str(folder / "store")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=told)
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["address"]
    finally:
        os.sched_setaffinity(0, cores)
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def send(address: str, token: str, run: str, count: int, connections: int) -> list[float]:
    """Seconds that each acknowledgement took."""
    took: list[list[float]] = [[] for _ in range(connections)]
    lanes = [threading.Thread(target=_lane, args=(address, token, run, n, count, took)) for n in range(connections)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return [each for lane in took for each in lane]


def _lane(address: str, token: str, run: str, lane: int, count: int, took: list[list[float]]) -> None:
    """Every so-manieth question and its answer, over one connection, in as few bytes of Python as it takes."""
    parts = urlsplit(address)
    draw, lanes = np.random.default_rng(lane), len(took)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(lane, count // 2, lanes):
            for kind, body in (("request", _question(number)), ("response", _answer(number, draw))):
                message = _message(token, kind, f"{run}-{number}", body)
                started = time.perf_counter()
                connection.sendall(message)
                said = connection.recv(4096)
                took[lane].append(time.perf_counter() - started)
                assert said.startswith(b"HTTP/1.1 200"), said


def _message(token: str, kind: str, name: str, body: bytes) -> bytes:
    head = (
        f"POST /models/fraud HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        f"ce-specversion: 1.0\r\nce-id: {name}\r\nce-source: http://localhost:9081/\r\n"
        f"ce-type: org.kubeflow.serving.inference.{kind}\r\nce-time: {datetime.now(UTC).isoformat()}\r\n"
        f"ce-inferenceservicename: fraud\r\nce-namespace: sluice\r\nce-component: predictor\r\nce-endpoint: default\r\n"
        f"ce-metadata: {{}}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _question(number: int) -> bytes:
    row = {"event_id": f"e{number}", "event_time": "2018-08-08T00:01:14.000000Z", "card": "596", "terminal": "3156"}
    return json.dumps({"instances": [{**row, "amount": 57.16}]}).encode()


def _answer(number: int, draw: np.random.Generator) -> bytes:
    features = draw.lognormal(2, 1, WIDTH).astype(np.float32).tolist()
    flags: dict[str, Any] = {"unknown": [], "stale": [], "ahead": False, "repeated": False}
    row = {"event_id": f"e{number}", "score": float(np.float32(draw.random())), "features": features, **flags}
    names = [f"card_amount_mean_{place}d" for place in range(WIDTH)]
    about = {"model_name": "fraud", "model_version": "6ebaaf1e" * 8, "feature_names": names}
    return json.dumps({"predictions": [row], **about, "time": "2026-11-23T01:54:32.136016Z"}).encode()


class Plain:
    """What `Application` needs of a receiver, without groups or a spool: the work of one event, in a thread."""

    def __init__(self, folder: Path, name: str) -> None:
        self.metrics = ReceiverMetrics(CollectorRegistry())
        self._folder = folder / "store"
        self._folder.mkdir(exist_ok=True)
        self._store = open_store(Storage(url=str(self._folder)))
        self._waits_for_store = name == "wait for the store"
        self._group: list[tuple[tuple[str, str, Event], asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None
        self.alive = True

    def start(self) -> None:
        """Begin."""
        if self._waits_for_store:
            self._task = asyncio.get_running_loop().create_task(self._put_groups())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    async def take(self, model: str, caller: str, event: Event) -> bool:
        """Returns when the event is durable."""
        if self._waits_for_store:
            done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._group.append(((model, caller, event), done))
            return await done
        await asyncio.to_thread(self._write, event)
        return True

    def _write(self, event: Event) -> None:
        path = self._folder / f"{event.id}-{event.kind}.json"
        part = path.with_suffix(".part")
        about = {"source": event.source, "id": event.id, "type": event.type, "time": event.time.isoformat()}
        with part.open("wb") as file:
            file.write(json.dumps({**about, "data": event.data.decode()}).encode())
            file.flush()
            os.fdatasync(file.fileno())
        part.rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    async def _put_groups(self) -> None:
        while True:
            group, self._group = self._group, []
            if not group:
                await asyncio.sleep(0.001)
                continue
            await asyncio.to_thread(self._put, [event for event, _ in group])
            for _, done in group:
                done.set_result(True)

    def _put(self, events: list[tuple[str, str, Event]]) -> None:
        for partition, table in tables(events):
            key = f"{partition.prefix}/{secrets.token_hex(8)}.parquet"
            self._store.put(key, encode(table))
            with (self._folder / key).open("rb") as file:
                os.fsync(file.fileno())


def serve_plainly(name: str, folder: Path) -> None:
    """One of the plain ways, behind the same HTTP side."""
    receiver: Any = Plain(folder, name)
    application = Application(
        Payloads(), receiver, Callers(folder / "callers.yaml"), ships=lambda: True, ends=lambda: None
    )
    listener = listen("127.0.0.1", 0)
    print(json.dumps({"address": "http://{}:{}".format(*listener.getsockname()[:2])}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(uvicorn.Config(application, access_log=False, log_level="warning", lifespan="on")).run([listener])


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: subprocess.Popen[str]) -> float:
    """Megabytes in memory."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def show(lines: list[Measured], given: argparse.Namespace, compacted: float) -> None:
    """The table."""
    ours = lines[0]
    title = f"{given.events:,} events, {given.connections} connections, one core ({machine()})"
    table = Table(title=title, caption=f"after compaction: {compacted:,.0f} bytes an event")
    columns = (
        "",
        "events/s",
        "ratio",
        "events/CPU s",
        "ack p50 ms",
        "p99 ms",
        "bytes an event",
        "ratio",
        "files",
        "MB: begin, half, end",
    )
    for column in columns:
        table.add_column(column, justify="left" if not column else "right")
    for line in lines:
        speed = f"{line.rate:,.0f}", f"{line.rate / ours.rate:.2f}", f"{1e3 / line.cpu_ms:,.0f}"
        acks = f"{line.p50_ms:.1f}", f"{line.p99_ms:.1f}"
        size = f"{line.bytes_an_event:,.0f}", f"{line.bytes_an_event / ours.bytes_an_event:.1f}", f"{line.files:,}"
        table.add_row(line.name, *speed, *acks, *size, ", ".join(f"{each:.0f}" for each in line.megabytes))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
