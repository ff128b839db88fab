"""`python -m sluice_serving.exporter USE_CASE.yaml …`: the monitor's results as metrics, until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.settings import read_use_case
from sluice.storage import open_store
from sluice_serving.environment import STORE_URL, storage_from
from sluice_serving.exits import exit_code
from sluice_serving.exporter.metrics import MonitorCollector
from sluice_serving.exporter.reading import Reader
from sluice_serving.saying import Saying
from sluice_serving.updater.health import Health

ANSWER_WITHIN = timedelta(seconds=10)
EVERY = 15.0
_STUCK = 300.0
"""Seconds without an attempt to read, after which it is not alive."""


def main(words: list[str]) -> int:
    """Serve metrics until SIGTERM or SIGINT; the exit code says whether it started."""
    given = parser().parse_args(words)
    return exit_code(lambda: _run(given))


def _run(given: argparse.Namespace) -> None:
    use_case = read_use_case(given.use_case, {"storage.url": given.store}, given.overlay)
    storage = storage_from(os.environ) if os.environ.get(STORE_URL) and given.store is None else use_case.storage
    keys = Keys.open(given.keys or Path(use_case.storage.keys))
    store = open_store(storage, answer_within=ANSWER_WITHIN)
    registry = Registry(store, use_case.name, clock=lambda: datetime.now(UTC), actor="exporter", keys=keys)
    reader = Reader(registry, use_case.watch, Saying(sys.stderr), time.time)
    metrics = CollectorRegistry()
    metrics.register(MonitorCollector(use_case.name, reader))
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: reader.stop())
    health = Health(
        given.host,
        given.port,
        metrics,
        lambda: "" if reader.seen else "the store was not read yet",
        lambda: time.time() - reader.tried < _STUCK,
    )
    print(json.dumps({"address": health.address, "model": use_case.name}), flush=True)
    try:
        reader.run(given.every)
    finally:
        health.close()


def parser() -> argparse.ArgumentParser:
    """The command line of an exporter."""
    words = argparse.ArgumentParser(
        prog="python -m sluice_serving.exporter", description="What the monitor recorded, for Prometheus."
    )
    words.add_argument("use_case", type=Path, help="a use case file; the store: SLUICE_STORE_URL …, else its storage")
    words.add_argument("--overlay", type=Path, action="append", default=[], help="settings laid over the file's")
    words.add_argument("--store", help="the store, instead of both")
    words.add_argument("--keys", type=Path, help="folder of *.pub that sign the log; default: storage.keys")
    words.add_argument("--every", type=float, default=EVERY, help="seconds between two readings; default: %(default)s")
    words.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    words.add_argument("--port", type=int, default=0, help="port to listen on; 0: a free one")
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
