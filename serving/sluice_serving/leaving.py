"""Stop without losing a request: say that one is not ready, go on answering for a while, then close.

A gateway learns a moment too late that a server is going; one that closes its door at once loses what is sent to it
meanwhile (docs/decisions/0013-serving-from-the-store.md has the figures).
"""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

import uvicorn


class LeavingServer(uvicorn.Server):
    """uvicorn's server, which goes on for `linger` seconds after SIGTERM. A second signal ends that."""

    def __init__(self, config: uvicorn.Config, linger: float) -> None:
        super().__init__(config)
        self._linger, self._loop = linger, asyncio.get_running_loop()
        self.leaving = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave now or, at the first SIGTERM, in a while."""
        if sig != signal.SIGTERM or self.leaving or self._linger <= 0:
            self.leaving = True
            super().handle_exit(sig, frame)
            return
        self.leaving = True
        # A signal comes between two lines of whatever the loop does.
        self._loop.call_soon_threadsafe(self._loop.call_later, self._linger, self._end, sig)

    def _end(self, sig: int) -> None:
        super().handle_exit(sig, None)
