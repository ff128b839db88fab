"""What was taken and waits to be looked at, in bounded memory: the oldest goes for the newest."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from sluice.payloads.bodies import Answer, read_question
from sluice.payloads.events import Event
from sluice.watch.alibi.paired import Times


@dataclass(frozen=True)
class Taken:
    """An event without its body, and what was read of that: a response's answer, or the times that were asked about."""

    event: Event
    answer: Answer | None
    times: Times

    @staticmethod
    def of(event: Event, answer: Answer | None) -> Taken:
        """What is kept of an event."""
        times = (read_question(event.data) or []) if answer is None else []
        return Taken(replace(event, data=b""), answer, times)

    @property
    def rows(self) -> int:
        """What it weighs."""
        return max(1, len(self.times if self.answer is None else self.answer))


class Waiting:
    """A queue of at most `most` rows (one event at least) for one thread that empties it."""

    def __init__(self, most: int) -> None:
        self._most, self._rows = most, 0
        self._queue: deque[Taken] = deque()
        self._lock, self._wake = threading.Lock(), threading.Event()

    def put(self, taken: Taken) -> int:
        """Add one; returns how many events went for it."""
        gone = 0
        with self._lock:
            self._queue.append(taken)
            self._rows += taken.rows
            while self._rows > self._most and len(self._queue) > 1:
                self._rows -= self._queue.popleft().rows
                gone += 1
        self._wake.set()
        return gone

    def wake(self) -> None:
        """Let `take` return."""
        self._wake.set()

    def take(self, timeout: float) -> list[Taken]:
        """All that waits, in order, as soon as something does or after `timeout` seconds."""
        self._wake.wait(timeout)
        self._wake.clear()
        with self._lock:
            taken, self._queue, self._rows = list(self._queue), deque(), 0
        return taken
