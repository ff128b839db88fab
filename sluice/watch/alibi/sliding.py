"""The rows of a stretch of time that slides with the events: all of them, or a uniform sample in bounded memory.

Each row has a rank, a number of its name's that says nothing of its values. When there are too many rows those of the
highest rank go. What is then read are the rows below every rank that went within the window, so that quiet hours and
busy ones, hours before and after the rows became too many, are all thinned alike.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

_SLOTS = 48
"""For so many parts of the window it is kept which ranks went."""
_TOP = 2**64


def instant(time_us: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).isoformat()


@dataclass(frozen=True)
class Row:
    """One answer: the event's time (microseconds since 1970), float32 [features] as the graph had them, the score."""

    time_us: int
    features: npt.NDArray[np.float32]
    score: float


class SlidingSample:
    """Rows of the last `length_us` of the events' time, `most` of them at most. Not for several threads at once.

    Attributes:
        late, thinned: rows that came after the window had left them behind; rows that went because of the bound.
    """

    def __init__(self, length_us: int, most: int) -> None:
        self._length, self._most = length_us, most
        self._slot = max(1, length_us // _SLOTS)
        self._rows: dict[int, Row] = {}
        self._by_rank: list[tuple[int, int]] = []
        self._by_time: list[tuple[int, int]] = []
        self._gone: dict[int, int] = {}
        self._first: int | None = None
        self._end: int | None = None
        self.late = self.thinned = 0

    def add(self, name: bytes, row: Row) -> None:
        """Take a row; its name is taken for new."""
        if self._end is not None and row.time_us <= self._end - self._length:
            self.late += 1
            return
        if self._first is None or self._end is None or row.time_us >= self._end + self._length:
            self._first = self._end = row.time_us
        self._first, self._end = min(self._first, row.time_us), max(self._end, row.time_us)
        rank = int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
        self._rows[rank] = row
        heapq.heappush(self._by_rank, (-rank, row.time_us))
        heapq.heappush(self._by_time, (row.time_us, rank))
        self._slide()
        while len(self._rows) > self._most:
            self._thin()

    @property
    def seen_us(self) -> int:
        """Of the length, what has been seen since the first row, or since the last time without any for as long."""
        return 0 if self._first is None or self._end is None else min(self._end - self._first, self._length)

    @property
    def full(self) -> bool:
        """Whether the whole length has been seen."""
        return self.seen_us >= self._length

    def document(self) -> dict[str, Any]:
        """The window in words."""
        return {
            "end": None if self._end is None else instant(self._end),
            "seen_hours": self.seen_us / 3.6e9,
            "rows": len(self),
            "full": self.full,
            "late": self.late,
            "thinned": self.thinned,
        }

    def __len__(self) -> int:
        return len(self._rows)

    def read(self) -> list[Row]:
        """The sample, in the order of time."""
        limit = min(self._gone.values(), default=_TOP)
        found = [row for rank, row in self._rows.items() if rank < limit]
        return sorted(found, key=lambda row: row.time_us)

    def _slide(self) -> None:
        assert self._end is not None
        start = self._end - self._length
        while self._by_time and self._by_time[0][0] <= start:
            _, rank = heapq.heappop(self._by_time)
            self._rows.pop(rank, None)
        for slot in [slot for slot in self._gone if (slot + 1) * self._slot <= start]:
            del self._gone[slot]
        if len(self._by_rank) > 2 * self._most + _SLOTS:
            self._by_rank = [(-rank, row.time_us) for rank, row in self._rows.items()]
            heapq.heapify(self._by_rank)
        if len(self._by_time) > 2 * self._most + _SLOTS:
            self._by_time = [(row.time_us, rank) for rank, row in self._rows.items()]
            heapq.heapify(self._by_time)

    def _thin(self) -> None:
        negative, time = heapq.heappop(self._by_rank)
        if self._rows.pop(-negative, None) is None:
            return
        slot = time // self._slot
        self._gone[slot] = min(self._gone.get(slot, _TOP), -negative)
        self.thinned += 1
