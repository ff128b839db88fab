"""Events on their way to a receiver: a bounded queue, threads that post, and again until they are taken."""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from urllib.parse import urlsplit

from sluice.errors import SettingsError
from sluice_serving.counters import Counter

_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT)
"""Refusals that may end, a new token among them; and every 5xx."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_TIMEOUT = 10.0


@dataclass(frozen=True)
class Outgoing:
    """One event to post: whose it is, its headers but the token, and its body."""

    model: str
    headers: Mapping[str, str]
    data: bytes


class Poster:
    """Posts events in threads of its own, from a queue that never grows beyond its bound.

    Args:
        address: http://host:port of the receiver; `where` it was given, for messages.
        sent, lost: what is counted; `lost` by `reason`: full, refused or stopped.
        queue_size, senders: events kept, and connections.

    Raises:
        SettingsError: the address is none.
    """

    def __init__(
        self, address: str, token: str, sent: Counter, lost: Counter, *, where: str, queue_size: int, senders: int
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname:
            raise SettingsError(where, [f"expected http://host:port, got {address!r}"])
        self._host, self._port = parts.hostname, parts.port or 80
        self._path, self._token = parts.path.rstrip("/"), token
        self._queue: queue.Queue[Outgoing | None] = queue.Queue(queue_size)
        self._ends = threading.Event()
        self._sent, self._lost = sent, lost
        self._threads = [threading.Thread(target=self._run, name="payloads", daemon=True) for _ in range(senders)]
        for thread in self._threads:
            thread.start()

    def put(self, event: Outgoing) -> None:
        """Send it some time; when the queue is full it is dropped, and counted."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._lost.labels("full").inc()

    def close(self, timeout: float) -> None:
        """Send what is in the queue, for `timeout` seconds at most; the rest is dropped, and counted."""
        deadline = monotonic() + timeout
        for _ in self._threads:
            try:
                self._queue.put(None, timeout=max(0.0, deadline - monotonic()))
            except queue.Full:
                break
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        self._ends.set()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        while not self._ends.is_set() and (event := self._queue.get()) is not None:
            self._send(connection, event)
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, event: Outgoing) -> None:
        pause = _FIRST_PAUSE
        while True:
            status, after = self._post(connection, event)
            if status == HTTPStatus.OK:
                self._sent.inc()
                return
            if status is not None and status < 500 and status not in _AGAIN:
                self._lost.labels("refused").inc()
                return
            if self._ends.wait(after if after is not None else pause):
                self._lost.labels("stopped").inc()
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _post(self, connection: http.client.HTTPConnection, event: Outgoing) -> tuple[int | None, float | None]:
        """The receiver's status and its Retry-After; None when it does not answer."""
        headers = {**event.headers, "Authorization": f"Bearer {self._token}"}
        try:
            connection.request("POST", f"{self._path}/models/{event.model}", event.data, headers)
            answer = connection.getresponse()
            answer.read()
            after = answer.headers.get("retry-after", "")
            return answer.status, float(after) if after.isdigit() else None
        except (OSError, http.client.HTTPException):
            connection.close()
            return None, None
