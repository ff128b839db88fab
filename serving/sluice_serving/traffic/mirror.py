"""Copies of requests to a version that is only watched: nobody waits for it, and nobody gets its answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

Target = tuple[str, int]
Pool = dict[Target, tuple[asyncio.StreamReader, asyncio.StreamWriter]]

WAITING = 256
"""Copies that may wait; what comes then is dropped, and counted."""
_AT_ONCE = 8
_CLOUD_EVENT = b"ce-"


class Mirror:
    """Sends copies from a bounded queue, a few at a time.

    Args:
        share: of the requests, between 0 and 1.
        send: sends one to the target over a connection of the pool, and counts what fails.
        dropped: counts what found the queue full, by target.
    """

    def __init__(
        self,
        target: Target,
        share: float,
        send: Callable[[Target, bytes, Pool], Awaitable[None]],
        dropped: Counter[Target],
    ) -> None:
        self._target, self._share, self._send, self._dropped = target, share, send, dropped
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(_AT_ONCE)]

    def offer(self, message: bytes, drawn: float) -> None:
        """Copy a request where `drawn`, uniform in 0 to 1, says so. It costs its caller nothing else."""
        if drawn >= self._share:
            return
        try:
            self._waiting.put_nowait(_unnamed(message))
        except asyncio.QueueFull:
            self._dropped[self._target] += 1

    def is_empty(self) -> bool:
        """Whether no copy waits."""
        return self._waiting.empty()

    async def close(self) -> None:
        """Send no more; what waits or is under way is let go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        pool: Pool = {}
        try:
            while True:
                await self._send(self._target, await self._waiting.get(), pool)
        finally:
            for _, upstream in pool.values():
                upstream.close()


def _unnamed(message: bytes) -> bytes:
    """Without the caller's CloudEvent headers: the payload ledger takes two events of one id for repeats."""
    head, end, body = message.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(_CLOUD_EVENT)]
    return b"\r\n".join(kept) + end + body
