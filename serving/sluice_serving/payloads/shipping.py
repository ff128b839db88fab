"""Sealed segments go to the store, oldest first; one that is there leaves the spool."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl

from sluice.errors import StoreError, first_line
from sluice.ledger.tables import encode
from sluice.payloads.events import MalformedError
from sluice.storage import Store
from sluice_serving.payloads.metrics import ReceiverMetrics
from sluice_serving.payloads.rows import tables
from sluice_serving.payloads.spool import Spool, records

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0


def ship(store: Store, segment: Path) -> tuple[list[bytes], int]:
    """Write a segment's events to the store; returns their keys and the number of files.

    Files are called by the segment: shipped again after a kill, it finds its own files there. Copies that a
    compaction makes of that are left out at reading.

    Raises:
        StoreError: the store does not answer or refuses. What was written stays, and does no harm.
    """
    files = 0
    for number, (partition, table) in enumerate(tables(records(segment))):
        store.put_if_absent(f"{partition.prefix}/{segment.stem}-{number}.parquet", encode(table))
        files += 1
    return [event.key for _, _, event in records(segment)], files


class Shipper:
    """A thread that ships what is sealed, and waits for a store that does not answer. `say` is told why it waits."""

    def __init__(self, store: Store, spool: Spool, metrics: ReceiverMetrics, say: Callable[[str], None]) -> None:
        self._store, self._spool, self._metrics, self._say = store, spool, metrics, say
        self._wake, self._ends = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipping", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._thread.start()

    def wake(self) -> None:
        """Something was sealed."""
        self._wake.set()

    def finish(self, timeout: float) -> None:
        """Ship what is sealed and end; what the store does not take in `timeout` seconds stays for the next process."""
        self._ends.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._wake.clear()
            try:
                while self._spool.sealed:
                    self._ship_first()
                    pause = _FIRST_PAUSE
            except (StoreError, OSError) as error:
                self._metrics.store_failures.inc()
                self._say(f"events wait in the spool: {error}")
                if self._ends.wait(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            if self._ends.is_set():
                return
            self._wake.wait(1.0)

    def _ship_first(self) -> None:
        segment = self._spool.sealed[0]
        try:
            keys, files = ship(self._store, segment)
        except (MalformedError, ValueError, pl.exceptions.PolarsError) as error:
            # Each event was read when it was taken, so this is a fault of ours: it must not hold up all that follow.
            self._metrics.aside.inc()
            self._say(f"{self._spool.set_aside(segment)} cannot be read back, and is kept: {first_line(error)}")
            return
        self._spool.done(segment, keys)
        self._metrics.shipped(len(keys), files)
        self._say("")

    @property
    def alive(self) -> bool:
        """Whether it still ships."""
        return self._thread.is_alive()
