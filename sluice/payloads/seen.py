"""Which events were here already, and which requests still wait for their response; both in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class Seen:
    """The keys of the latest events: `horizon` of them at least, twice as many at most (about 100 bytes each)."""

    def __init__(self, horizon: int, keys: Iterable[bytes] = ()) -> None:
        self._horizon = horizon
        self._now: set[bytes] = set()
        self._before: set[bytes] = set()
        for key in keys:
            self.add(key)

    def __contains__(self, key: bytes) -> bool:
        return key in self._now or key in self._before

    def add(self, key: bytes) -> None:
        """From now on it is known."""
        if len(self._now) >= self._horizon:
            self._before, self._now = self._now, set()
        self._now.add(key)


class Unanswered:
    """Counts requests that no response followed within `within` seconds. A response may come first."""

    def __init__(self, within: float, most: int) -> None:
        self._within, self._most = within, most
        self._waiting: OrderedDict[bytes, float] = OrderedDict()
        self._early: OrderedDict[bytes, float] = OrderedDict()

    def note(self, question: bytes, now: float, *, is_response: bool) -> None:
        """A request or a response came."""
        mine, others = (self._early, self._waiting) if is_response else (self._waiting, self._early)
        if others.pop(question, None) is None:
            mine[question] = now
            if len(mine) > self._most:
                mine.popitem(last=False)

    def overdue(self, now: float) -> int:
        """How many requests have waited too long since the last call; they are forgotten."""
        while self._early and now - next(iter(self._early.values())) > self._within:
            self._early.popitem(last=False)
        count = 0
        while self._waiting and now - next(iter(self._waiting.values())) > self._within:
            self._waiting.popitem(last=False)
            count += 1
        return count
