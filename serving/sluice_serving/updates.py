"""State updates in the order in which they arrive, applied before the next question that could see them.

Updates of keys that nobody asks about may wait and go together: no answer can tell the difference.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import polars as pl


class Updater(Protocol):
    """What applies updates: `OnlineFeatures`."""

    def apply(self, events: pl.DataFrame | None, labels: pl.DataFrame | None) -> object:
        """Apply a batch of events and label events to state."""


class Updates:
    """Updates that are due, and what has to happen before a question about some keys may be asked.

    Args:
        updaters: one applies in order, at once; several apply shuffled parts at the same time, while questions
            about other keys go on.
        batch: so many updates are applied together at most (1: each as it comes).
        seed: of the shuffling.
    """

    def __init__(
        self, updaters: Sequence[Updater], events: pl.DataFrame, labels: pl.DataFrame, *, batch: int, seed: int
    ) -> None:
        self._updaters, self._events, self._labels = updaters, events, labels
        self._batch, self._random = batch, random.Random(seed)
        self._due: list[tuple[bool, int]] = []
        self._touched: set[tuple[str, str]] = set()
        self._running: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(len(updaters)) if len(updaters) > 1 else None

    def add(self, is_label: bool, row: int, keys: Sequence[tuple[str, str]]) -> None:
        """An update arrived: row of the label stream or of the events, and the entities it concerns."""
        self._due.append((is_label, row))
        self._touched.update(keys)
        if len(self._due) >= self._batch:
            self._start()

    def settle(self, keys: Sequence[tuple[str, str]]) -> None:
        """Everything that concerns one of `keys` is applied when this returns."""
        if not self._touched.isdisjoint(keys):
            self.finish()

    def finish(self) -> None:
        """Everything is applied when this returns."""
        self._start()
        for future in self._running:
            future.result()
        self._running.clear()
        self._touched.clear()

    def close(self) -> None:
        """Apply what is left and let the threads go."""
        try:
            self.finish()
        finally:
            if self._pool is not None:
                self._pool.shutdown()

    def _start(self) -> None:
        due, self._due = self._due, []
        if not due:
            return
        if self._pool is None:
            self._apply(self._updaters[0], due)
            self._touched.clear()
            return
        self._random.shuffle(due)
        for i, updater in enumerate(self._updaters):
            if part := due[i :: len(self._updaters)]:
                self._running.append(self._pool.submit(self._apply, updater, part))

    def _apply(self, updater: Updater, due: list[tuple[bool, int]]) -> None:
        events = [row for is_label, row in due if not is_label]
        labels = [row for is_label, row in due if is_label]
        updater.apply(self._events[events] if events else None, self._labels[labels] if labels else None)
