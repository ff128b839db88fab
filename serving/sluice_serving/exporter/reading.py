"""What the exporter tells about: the log, and the last window that the monitor recorded of the champion."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.errors import RegistryError, SluiceError
from sluice.registry.decision import Decision
from sluice.registry.registry import Registry
from sluice.registry.story import MAKES_LIVE, verdict_on
from sluice.settings.watch import Watch
from sluice.watch.acting import decided_about
from sluice.watch.records import due_after, newest_window


@dataclass(frozen=True)
class Seen:
    """What the store said at one instant.

    Attributes:
        version: the champion's digest.
        decisions: the log.
        window: the document of its last recorded window; None where there is none yet.
        due: when the next window can be recorded.
        action: the log's last entry about that window (`alerted`, `retraining`); None where nothing followed from it.
        open_run: the last `retraining` entry, while the gate has said nothing of its run.
    """

    model: str
    version: str
    decisions: tuple[Decision, ...]
    window: dict[str, Any] | None
    due: datetime
    action: Decision | None
    open_run: Decision | None


def see(registry: Registry, settings: Watch) -> Seen:
    """Read log and window.

    Raises:
        RegistryError: nothing is live.
        StoreError, IntegrityError: the store cannot be read, or holds something else than was written.
    """
    log, champion = registry.log(), registry.state().champion
    if champion is None:
        raise RegistryError(f"{registry.model} has no champion", "`sluice run` makes the first one")
    since = next(d.time for d in reversed(log) if d.kind in MAKES_LIVE and d.version == champion)
    window = newest_window(registry.store, registry.model, champion)
    started = [decision for decision in log if decision.kind == "retraining"]
    return Seen(
        registry.model,
        champion,
        tuple(log),
        window,
        due_after(window, since, settings.window, settings.settle),
        None if window is None else decided_about(log, window),
        started[-1] if started and verdict_on(log, started[-1]) is None else None,
    )


class Reader:
    """Reads again and again; a scrape gets what was read last and waits for no store.

    Attributes:
        seen: what was read last; None before the first time. It stays when the store does not answer: an alert that
            fires is no better for a store that is away.
        at: the instant of that, in seconds since 1970.
        works: whether the last attempt succeeded.
    """

    def __init__(
        self, registry: Registry, settings: Watch, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._registry, self._settings, self._say, self._clock = registry, settings, say, clock
        self._ended = threading.Event()
        self.seen: Seen | None = None
        self.at, self.tried = 0.0, clock()
        self.works = False

    def read(self) -> None:
        """Read once."""
        try:
            self.seen = see(self._registry, self._settings)
            self.at, self.works = self._clock(), True
            self._say("")
        except SluiceError as error:
            self.works = False
            self._say(str(error))
        self.tried = self._clock()

    def run(self, every: float) -> None:
        """Read every so many seconds until `stop`."""
        self.read()
        while not self._ended.wait(every):
            self.read()

    def stop(self) -> None:
        """Let `run` return."""
        self._ended.set()
