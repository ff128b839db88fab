"""Responses with the event times that their requests asked about; whichever comes first waits for the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.payloads.bodies import Answer
from sluice.payloads.events import Event

Times = list[datetime | None]


@dataclass(frozen=True)
class Response:
    """A response, and one event time a row where its request told them."""

    event: Event
    answer: Answer
    times: Times | None

    def time(self, row: int, skew: timedelta) -> datetime:
        """When a row's event happened: as its request says, unless that lies in the future; else when it was logged."""
        asked = self.times[row] if self.times is not None and row < len(self.times) else None
        return asked if asked is not None and asked <= self.event.time + skew else self.event.time


class Pairs:
    """At most `most` rows of each kind wait, and a response `within` seconds. Not for several threads at once."""

    def __init__(self, most: int, within: float) -> None:
        self._most, self._within = most, within
        self._asked: OrderedDict[bytes, Times] = OrderedDict()
        self._early: OrderedDict[bytes, tuple[float, Response]] = OrderedDict()
        self._asked_rows = self._early_rows = 0

    def request(self, event: Event, times: Times) -> Iterator[Response]:
        """The response that waited for this request, if one did."""
        waiting = self._early.pop(event.question, None)
        if waiting is not None:
            self._early_rows -= len(waiting[1].answer)
            yield Response(waiting[1].event, waiting[1].answer, times)
            return
        self._asked[event.question] = times
        self._asked_rows += len(times)
        while self._asked_rows > self._most:
            self._asked_rows -= len(self._asked.popitem(last=False)[1])

    def response(self, event: Event, answer: Answer, now: float) -> Iterator[Response]:
        """The response, when its request was here; and those that have to go for it to wait."""
        times = self._asked.pop(event.question, None)
        if times is not None:
            self._asked_rows -= len(times)
            yield Response(event, answer, times)
            return
        self._early[event.question] = (now, Response(event, answer, None))
        self._early_rows += len(answer)
        while self._early_rows > self._most:
            yield self._first()

    def overdue(self, now: float) -> Iterator[Response]:
        """Responses that no request came to in time."""
        while self._early and now - next(iter(self._early.values()))[0] >= self._within:
            yield self._first()

    def _first(self) -> Response:
        response = self._early.popitem(last=False)[1][1]
        self._early_rows -= len(response.answer)
        return response
