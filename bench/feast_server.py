"""Feast's own feature server with the same features of the same cards, for `bench/serving.py`."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

WIDTH = 12
DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

card = Entity(name="card", join_keys=["card"], value_type=ValueType.STRING)
source = FileSource(name="rows", path="{path}", timestamp_field="event_timestamp")
fields = [Field(name=f"f{{i}}", dtype=Float64) for i in range({width})]
features = FeatureView(name="features", entities=[card], ttl=timedelta(0), schema=fields, source=source)
service = FeatureService(name="service", features=[features])
"""
SETTINGS = """
project: bench
registry: registry.db
provider: local
online_store: {type: sqlite, path: online.db}
offline_store: {type: duckdb}
entity_key_serialization_version: 3
"""


@contextmanager
def feast_server(folder: Path, cards: list[str]) -> Iterator[tuple[str, int, int]]:
    """Host, port and process id of `feast serve` over SQLite, with twelve numbers a card materialised."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    numbers = {f"f{i}": draw.random(len(cards)) for i in range(WIDTH)}
    instant = pl.lit(datetime(2018, 1, 1, tzinfo=UTC))
    pl.DataFrame({"card": cards, **numbers}).with_columns(event_timestamp=instant).write_parquet(
        folder / "rows.parquet"
    )
    (folder / "definitions.py").write_text(DEFINITIONS.format(path=folder / "rows.parquet", width=WIDTH))
    (folder / "feature_store.yaml").write_text(SETTINGS)
    feast = str(Path(sys.executable).with_name("feast"))
    environment = {**os.environ, "FEAST_USAGE": "False", "PYTHONWARNINGS": "ignore"}
    silent = subprocess.DEVNULL
    quiet: dict[str, Any] = {"cwd": folder, "env": environment, "stdout": silent, "stderr": silent}
    subprocess.run([feast, "apply"], check=True, **quiet)
    subprocess.run([feast, "materialize", "2017-01-01T00:00:00", "2019-01-01T00:00:00"], check=True, **quiet)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [feast, "serve", "--port", str(port), "--no-access-log", "--max-requests", "0"]
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    try:
        _wait(port)
        yield "127.0.0.1", port, _busiest(process.pid)
    finally:
        # It has workers of its own.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def requests(cards: list[str]) -> list[bytes]:
    """A body a card, in their order."""
    return [orjson.dumps({"feature_service": "service", "entities": {"card": [card]}}) for card in cards]


def ask_feast(host: str, port: int, sent: list[bytes]) -> list[float]:
    """Seconds that each request took, on one kept-alive connection."""
    connection, took = http.client.HTTPConnection(host, port, timeout=30), []
    for body in sent:
        started = time.perf_counter()
        connection.request("POST", "/get-online-features", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = response.read()
        took.append(time.perf_counter() - started)
        if response.status != 200:
            raise SystemExit(f"Feast's server answered {response.status}: {data[:300]!r}")
    connection.close()
    return took


def _wait(port: int) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise SystemExit("Feast's feature server does not start")


def _busiest(parent: int) -> int:
    """The process that answers: gunicorn's worker where there is one."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(children[-1]) if children else parent
