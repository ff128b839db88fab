"""A stand-in for KServe's payload logger: the server itself posts what was asked and said, in the logger's format.

The logger's queue holds its callers up when it is full; this one drops, and counts what it drops: a slow receiver must
cost nobody an answer. What was taken from the queue is sent again until the receiver has it or says that it is wrong.
"""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sluice.errors import SettingsError
from sluice_serving.counters import CollectorRegistry, Counter
from sluice_serving.metrics import is_composed

TYPES = {
    "request": "org.kubeflow.serving.inference.request",
    "response": "org.kubeflow.serving.inference.response",
}
_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT)
"""Refusals that may end, a new token among them; and every 5xx."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_TIMEOUT = 10.0


@dataclass(frozen=True)
class Logged:
    """One thing to send."""

    kind: str
    id: str
    time: datetime
    content_type: str
    data: bytes


class PayloadSender:
    """Sends events to a receiver in threads of its own, from a queue that never grows beyond its bound.

    Args:
        address: http://host:port of the receiver.
        model: whose events they are.
        queue_size, senders: events kept, and connections.

    Raises:
        SettingsError: the address is none.
    """

    def __init__(
        self, address: str, model: str, token: str, registry: CollectorRegistry, *, queue_size: int, senders: int
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname:
            raise SettingsError("payloads.address", [f"expected http://host:port, got {address!r}"])
        self._host, self._port, self._path = (
            parts.hostname,
            parts.port or 80,
            f"{parts.path.rstrip('/')}/models/{model}",
        )
        self.model, self._token = model, token
        self._queue: queue.Queue[Logged | None] = queue.Queue(queue_size)
        self._ends = threading.Event()
        self._sent = Counter("sluice_payloads_sent", "Events that the ledger took", registry=registry)
        self._lost = Counter("sluice_payloads_dropped", "Events not sent, by reason", ["reason"], registry=registry)
        self._threads = [threading.Thread(target=self._run, name="payloads", daemon=True) for _ in range(senders)]
        for thread in self._threads:
            thread.start()

    def offer(self, event: Logged) -> None:
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

    def _send(self, connection: http.client.HTTPConnection, event: Logged) -> None:
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

    def _post(self, connection: http.client.HTTPConnection, event: Logged) -> tuple[int | None, float | None]:
        """The receiver's status and its Retry-After; None when it does not answer."""
        try:
            connection.request("POST", self._path, event.data, self._headers(event))
            answer = connection.getresponse()
            answer.read()
            after = answer.headers.get("retry-after", "")
            return answer.status, float(after) if after.isdigit() else None
        except (OSError, http.client.HTTPException):
            connection.close()
            return None, None

    def _headers(self, event: Logged) -> dict[str, str]:
        return {
            "Content-Type": event.content_type,
            "Authorization": f"Bearer {self._token}",
            "Ce-Specversion": "1.0",
            "Ce-Id": event.id,
            "Ce-Source": f"http://{self.model}/",
            "Ce-Type": TYPES[event.kind],
            "Ce-Time": event.time.isoformat(),
            "Ce-Inferenceservicename": self.model,
            "Ce-Endpoint": "default",
            "Ce-Component": "predictor",
        }


class PayloadLogger:
    """An ASGI application around another one: what was asked and what was answered with 200 goes to the sender.

    Composed vectors do not: no event is behind them.

    As KServe's logger does, it takes the caller's `ce-id` as the id where there is one.
    """

    def __init__(self, application: Any, sender: PayloadSender) -> None:
        self._application, self._sender = application, sender

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """One request. Bodies come whole: `Limits` stands around it."""
        if scope["type"] != "http" or scope["method"] != "POST" or is_composed(scope["path"], self._sender.model):
            await self._application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        name = headers.get(b"ce-id", b"").decode("latin-1") or str(uuid4())
        content_type = headers.get(b"content-type", b"application/json").decode("latin-1")
        status, said = 0, []

        async def hear() -> Any:
            message = await receive()
            if message["type"] == "http.request":
                asked = message.get("body", b"")
                self._sender.offer(Logged("request", name, datetime.now(UTC), content_type, asked))
            return message

        async def tell(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status == HTTPStatus.OK:
                said.append(message.get("body", b""))
            await send(message)
            if status == HTTPStatus.OK and message["type"] == "http.response.body" and not message.get("more_body"):
                self._sender.offer(Logged("response", name, datetime.now(UTC), content_type, b"".join(said)))

        await self._application(scope, hear, tell)
