"""Say why something does not work yet: when the reason is new, and every 30 s while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TextIO

EVERY = 30.0


class Saying:
    """Writes reasons to `out`, each at once and then now and again. Without a reason it forgets the last one."""

    def __init__(self, out: TextIO, *, every: float = EVERY, seconds: Callable[[], float] = monotonic) -> None:
        self._out, self._every, self._seconds = out, every, seconds
        self._last, self._at = "", float("-inf")

    def __call__(self, reason: str) -> None:
        """Say it, unless it was said within the last 30 s."""
        now = self._seconds()
        if reason and (reason != self._last or now - self._at >= self._every):
            print(reason, file=self._out, flush=True)
            self._at = now
        self._last = reason
