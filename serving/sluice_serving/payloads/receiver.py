"""Take events: who may send them, whether they are whole and new, and the acknowledgement once they are on the disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic, time_ns

from sluice.errors import RequestError
from sluice.payloads.events import Event
from sluice.payloads.receiving import checked
from sluice.payloads.seen import Seen, Unanswered
from sluice.settings.payloads import Payloads
from sluice_serving.payloads.metrics import ReceiverMetrics
from sluice_serving.payloads.spool import Spool, record, records

_TICK = 0.25
_SEGMENTS_WAITING = 8
"""Bytes that wait for the disk at most, in segments."""


class BusyError(RequestError):
    """Come again in `after` seconds: nothing was taken, and nothing that was acknowledged is lost."""

    def __init__(self, message: str, status: HTTPStatus, after: int) -> None:
        super().__init__(message, status, f"send it again in {after} s")
        self.after = after


@dataclass(frozen=True)
class _Taken:
    model: str
    event: Event
    content: bytes


class Receiver:
    """Events go to the spool in groups: what came while the last group was synced is the next one.

    Lives in one event loop; `sealed` is called when a segment is ready for the store, `durable` with each new event
    once it is on the disk.
    """

    def __init__(
        self,
        settings: Payloads,
        spool: Spool,
        metrics: ReceiverMetrics,
        sealed: Callable[[], None],
        durable: Callable[[str, Event], None] = lambda _model, _event: None,
    ) -> None:
        self._settings, self._spool, self.metrics, self._sealed = settings, spool, metrics, sealed
        self._durably = durable
        self._seen = Seen(settings.remember, spool.stored_keys())
        for segment in spool.sealed:
            for _, _, event in records(segment):
                self._seen.add(event.key)
        self._unanswered: dict[str, Unanswered] = {}
        self._group: list[_Taken] = []
        self._waiting: dict[bytes, asyncio.Future[bool]] = {}
        self._bytes = 0
        self._disk = ThreadPoolExecutor(1, "spool")
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ends = False
        metrics.watch(lambda: spool.age_us(time_ns() // 1000) / 1e6, lambda: spool.size)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._write())

    @property
    def alive(self) -> bool:
        """Whether what is taken is written."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Write what was taken, and seal it."""
        self._ends = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await asyncio.get_running_loop().run_in_executor(self._disk, self._spool.seal)
        self._disk.shutdown()
        self._sealed()

    async def take(self, model: str, caller: str, event: Event) -> bool:
        """Returns when the event is durable; False when it was there already.

        Raises:
            MalformedError: it could not be read back.
            BusyError: 429 when too many wait for the disk, 503 when too much waits for the store or the disk refuses.
        """
        if not self.alive:
            raise BusyError("the receiver does not write any more", HTTPStatus.SERVICE_UNAVAILABLE, 5)
        checked(model, event, self._settings.clock_skew)
        key = event.key
        waiting = self._waiting.get(key)
        if waiting is None and key in self._seen:
            self.metrics.duplicates.labels(model).inc()
            return False
        if waiting is not None:
            await self._durable(waiting)
            self.metrics.duplicates.labels(model).inc()
            return False
        self._make_room(len(event.data))
        taken = _Taken(model, event, record(model, caller, event))
        waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._group.append(taken)
        self._bytes += len(taken.content)
        self._wake.set()
        await self._durable(waiting)
        return True

    async def _durable(self, waiting: asyncio.Future[bool]) -> None:
        # Others may wait for the same event: a caller that goes away must not take it from them.
        if not await asyncio.shield(waiting):
            raise BusyError("the disk refuses to write", HTTPStatus.SERVICE_UNAVAILABLE, 5)

    def _make_room(self, size: int) -> None:
        if self._spool.size + self._bytes + size > self._settings.max_spool:
            raise BusyError("the store does not take events, and the spool is full", HTTPStatus.SERVICE_UNAVAILABLE, 5)
        most = _SEGMENTS_WAITING * self._settings.segment
        if len(self._waiting) >= self._settings.max_waiting or (self._group and self._bytes + size > most):
            raise BusyError("too many events wait for the disk", HTTPStatus.TOO_MANY_REQUESTS, 1)

    async def _write(self) -> None:
        while not self._ends or self._group:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._wake.wait()
            self._wake.clear()
            if self._group:
                await self._write_group()
            await self._seal_if_due()
            for model, followed in self._unanswered.items():
                self.metrics.unanswered.labels(model).inc(followed.overdue(monotonic()))

    async def _write_group(self) -> None:
        group, self._group = self._group, []
        contents = [taken.content for taken in group]
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, self._spool.append, contents)
        except OSError:
            self._settle(group, False)
        else:
            self._settle(group, True)

    def _settle(self, group: list[_Taken], durable: bool) -> None:
        now = monotonic()
        for taken in group:
            self._bytes -= len(taken.content)
            if durable:
                self._seen.add(taken.event.key)
                self.metrics.accepted.labels(taken.model, taken.event.kind).inc()
                followed = self._unanswered.get(taken.model) or self._follow(taken.model)
                followed.note(taken.event.question, now, is_response=taken.event.kind == "responses")
            self._waiting.pop(taken.event.key).set_result(durable)
            if durable:
                self._durably(taken.model, taken.event)

    def _follow(self, model: str) -> Unanswered:
        within = self._settings.answer_within.total_seconds()
        return self._unanswered.setdefault(model, Unanswered(within, self._settings.remember))

    async def _seal_if_due(self) -> None:
        age = (time_ns() // 1000 - self._spool.open_since_us) / 1e6
        if self._spool.open_size >= self._settings.segment or age >= self._settings.flush_every.total_seconds():
            await asyncio.get_running_loop().run_in_executor(self._disk, self._spool.seal)
            self._sealed()
