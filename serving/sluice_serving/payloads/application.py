"""The receiver's HTTP side: `POST /models/<model>` takes one event; health and metrics need no token."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import perf_counter

import orjson
from prometheus_client import generate_latest

from sluice.errors import RequestError
from sluice.payloads.callers import Callers
from sluice.payloads.events import MalformedError
from sluice.payloads.receiving import CHALLENGE, Message, Receive, is_about_no_event, receive_event
from sluice.settings.payloads import Payloads
from sluice_serving.payloads.receiver import BusyError, Receiver

Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger("sluice.payloads")
_MODELS = "/models/"


class Application:
    """The ASGI application. `ships` tells whether events still go to the store; `ends` is called at the end."""

    def __init__(
        self,
        settings: Payloads,
        receiver: Receiver,
        callers: Callers,
        *,
        ships: Callable[[], bool],
        ends: Callable[[], None],
    ) -> None:
        self._settings, self._receiver, self._callers, self._ends = settings, receiver, callers, ends
        self._ships = ships
        self._metrics = receiver.metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._receiver.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._receiver.stop()
        self._ends()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            status, content, kind = await self._said(scope, receive)
            await _send(send, status, content, [(b"content-type", kind)] if kind else [])
        except RequestError as error:
            await self._refuse(send, error)
        except Exception:
            # Nothing of a body goes into the log: it may be personal.
            logger.exception("an event was not taken")
            await _send(
                send, HTTPStatus.INTERNAL_SERVER_ERROR, _words("the receiver failed", "its log says why"), [_JSON]
            )

    async def _said(self, scope: Message, receive: Receive) -> tuple[HTTPStatus, bytes, bytes]:
        path, method = scope["path"], scope["method"]
        if path.startswith(_MODELS):
            if method != "POST":
                raise RequestError(f"{method} is not for events", HTTPStatus.METHOD_NOT_ALLOWED, "POST one event")
            await self._take(path.removeprefix(_MODELS), scope, receive)
            return HTTPStatus.OK, b"", b""
        if method not in ("GET", "HEAD"):
            raise RequestError(f"{path} takes no events", HTTPStatus.NOT_FOUND, "POST them to /models/MODEL")
        if path == "/metrics":
            return HTTPStatus.OK, generate_latest(self._metrics.registry), b"text/plain; version=0.0.4; charset=utf-8"
        if path in ("/", "/health/live", "/health/ready"):
            if not (self._receiver.alive and self._ships()):
                return HTTPStatus.SERVICE_UNAVAILABLE, b'{"status":"stopped"}', b"application/json"
            return HTTPStatus.OK, b'{"status":"alive"}', b"application/json"
        raise RequestError(f"{path} is not here", HTTPStatus.NOT_FOUND, "POST events to /models/MODEL")

    async def _take(self, model: str, scope: Message, receive: Receive) -> None:
        caller, event = await receive_event(model, scope["headers"], receive, self._callers, self._settings.max_event)
        started = perf_counter()
        if is_about_no_event(model, event):
            self._metrics.ignored.labels(model).inc()
            return
        await self._receiver.take(model, caller, event)
        self._metrics.seconds.observe(perf_counter() - started)

    async def _refuse(self, send: Send, error: RequestError) -> None:
        if isinstance(error, MalformedError):
            self._metrics.malformed.labels(error.reason).inc()
        self._metrics.refused.labels(str(int(error.status))).inc()
        headers = [_JSON]
        if isinstance(error, BusyError):
            headers.append((b"retry-after", str(error.after).encode()))
        if error.status == HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", CHALLENGE.encode()))
        await _send(send, error.status, _words(error.message, error.hint), headers)


_JSON = (b"content-type", b"application/json")


def _words(message: str, hint: str) -> bytes:
    return orjson.dumps({"error": message, "hint": hint, "problems": []})


async def _send(send: Send, status: HTTPStatus, content: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": int(status), "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": content})
