"""Live a stretch of events through an endpoint in their order, faster than they happened.

What no answer can tell from asking one by one goes together: questions wait for each other until one of them needs
state that an update before it has changed; then all that wait are asked in one request, and the updates applied.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from sluice.settings.use_case import UseCase
from sluice.steps import Progress, silent
from sluice_serving.client import Client
from sluice_serving.replay import Keys, instances_of, keys_of, steps_of
from sluice_serving.updates import Updater

MOST_DUE = 2000
"""Updates that wait at most."""


@dataclass(frozen=True)
class Played:
    """What was sent: events asked about, requests that held them, and updates of state."""

    asked: int
    requests: int
    updates: int


def play(
    use_case: UseCase,
    endpoint: str,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    asked: Collection[str],
    online: Updater,
    most: int,
    applied: pl.DataFrame | None = None,
    heard: Callable[[list[dict[str, Any]]], None] | None = None,
    progress: Progress = silent,
) -> Played:
    """Ask about some of the events when they arrive, and apply all of them, and the labels, to state.

    Args:
        endpoint: http://host:port of the server.
        events: sorted by (event_time, event_id).
        labels: label events that arrive meanwhile (label stream), among them those of earlier events.
        asked: ids of the events that the endpoint is asked about.
        online: the state that the endpoint reads.
        most: rows of one request, at most.
        applied: what state learns of the events, row by row: the same, but null for an entity whose state is not kept.
        heard: gets the predictions of each request.

    Raises:
        RequestError: the endpoint refuses a request or does not answer.
    """
    asked, seen = set(asked), events if applied is None else applied
    ids, known = events.get_column("event_id").to_list(), keys_of(seen, list(use_case.data.columns.entities))
    lane = _Lane(use_case, endpoint, events, (seen, labels), online, heard)
    total, updates = sum(one in asked for one in ids), 0
    try:
        for step in steps_of(use_case, events, labels):
            if not step.asks:
                keys = step.keys if step.is_label else known[step.row]
                if keys:
                    lane.update(step.is_label, step.row, keys)
                    updates += 1
            elif ids[step.row] in asked:
                lane.ask(step.row, step.keys, most)
                progress("play", lane.asked, total)
        lane.settle()
    finally:
        lane.close()
    return Played(lane.asked, lane.requests, updates)


class _Lane:
    """Questions and updates that wait."""

    def __init__(
        self,
        use_case: UseCase,
        endpoint: str,
        events: pl.DataFrame,
        streams: tuple[pl.DataFrame, pl.DataFrame],
        online: Updater,
        heard: Callable[[list[dict[str, Any]]], None] | None,
    ) -> None:
        self._events, self._labels = streams
        self._online, self._heard = online, heard
        self._bodies = instances_of(use_case, events)
        self._client = Client(endpoint, use_case.name)
        self._waiting: list[dict[str, Any]] = []
        self._due: tuple[list[int], list[int]] = ([], [])
        self._touched: set[tuple[str, str]] = set()
        self.asked = self.requests = 0

    def ask(self, row: int, keys: Keys, most: int) -> None:
        """A question: it waits, unless an update that waits concerns it or enough questions wait."""
        if not self._touched.isdisjoint(keys):
            self.settle()
        self._waiting.append(self._bodies[row])
        self.asked += 1
        if len(self._waiting) >= most:
            self.settle()

    def update(self, is_label: bool, row: int, keys: Keys) -> None:
        """An update: it waits for the questions before it."""
        self._due[is_label].append(row)
        self._touched.update(keys)
        if sum(map(len, self._due)) >= MOST_DUE:
            self.settle()

    def settle(self) -> None:
        """Ask what waits, then apply what waits."""
        if self._waiting:
            answer = self._client.predict(orjson.dumps({"instances": self._waiting}))
            if self._heard is not None:
                self._heard(answer["predictions"])
            self.requests += 1
            self._waiting = []
        events, labels = self._due
        if events or labels:
            self._online.apply(self._events[events] if events else None, self._labels[labels] if labels else None)
        self._due, self._touched = ([], []), set()

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
