"""A stand-in for KServe's payload logger: the server itself posts what was asked and said, in the logger's format.

The logger's queue holds its callers up when it is full; this one drops, and counts what it drops: a slow receiver must
cost nobody an answer. What was taken from the queue is sent again until the receiver has it or says that it is wrong.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from sluice_serving.counters import CollectorRegistry, Counter
from sluice_serving.metrics import is_composed
from sluice_serving.payloads.posting import Outgoing, Poster

TYPES = {
    "request": "org.kubeflow.serving.inference.request",
    "response": "org.kubeflow.serving.inference.response",
}


@dataclass(frozen=True)
class Logged:
    """One thing to send."""

    kind: str
    id: str
    time: datetime
    content_type: str
    data: bytes


class PayloadSender(Poster):
    """Sends events of one model to a receiver.

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
        sent = Counter("sluice_payloads_sent", "Events that the ledger took", registry=registry)
        lost = Counter("sluice_payloads_dropped", "Events not sent, by reason", ["reason"], registry=registry)
        super().__init__(address, token, sent, lost, where="payloads.address", queue_size=queue_size, senders=senders)
        self.model = model

    def offer(self, event: Logged) -> None:
        """Send it some time; when the queue is full it is dropped, and counted."""
        self.put(Outgoing(self.model, self._headers(event), event.data))

    def _headers(self, event: Logged) -> dict[str, str]:
        return {
            "Content-Type": event.content_type,
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
