"""Around the application: bodies have a largest size, and every scoring request is timed, also one that hangs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from time import perf_counter
from typing import Any

from sluice.errors import RequestError
from sluice_serving.metrics import protocol_of
from sluice_serving.model import SluiceModel

_DRAINED = 16
"""A body up to this many times the limit is read and thrown away, so that its sender can read our answer."""


class _TooLargeError(RequestError):
    reason = "size"


class Limits:
    """An ASGI application around another one. Callers of a server that is about to stop are told to connect anew."""

    def __init__(self, application: Any, model: SluiceModel, leaving: Callable[[], bool]) -> None:
        self._application, self._model, self._leaving = application, model, leaving
        serving = model.reader.use_case.serving
        self._largest, self._within = serving.max_body, serving.answer_within.total_seconds()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._application(scope, receive, send)
            return
        started, status, overdue = perf_counter(), 500, False
        protocol = protocol_of(scope["path"], self._model.name)

        def give_up() -> None:
            # Whoever asked has gone by now: an answer that never comes would be counted nowhere.
            nonlocal overdue
            overdue = True
            self._observe(protocol, HTTPStatus.GATEWAY_TIMEOUT, self._within)

        async def send_noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._leaving():
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        timer = asyncio.get_running_loop().call_later(self._within, give_up)
        try:
            body = await self._body(scope, receive)
            if body is None:
                await self._refuse(send_noting)
            else:
                await self._application(scope, _replay(body, receive), send_noting)
        finally:
            # What nobody foresaw is answered with 500 and raised once more: it counts most of all.
            timer.cancel()
            if not overdue:
                self._observe(protocol, status, perf_counter() - started)

    def _observe(self, protocol: str, status: int, seconds: float) -> None:
        self._model.metrics.seconds.labels(protocol, str(int(status))).observe(seconds)

    async def _body(self, scope: MutableMapping[str, Any], receive: Any) -> bytes | None:
        """The whole body, None when it is too large."""
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > self._largest * _DRAINED:
            return None
        chunks, size, more = [], 0, True
        while more and size <= self._largest * _DRAINED:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= self._largest:
                chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks) if size <= self._largest else None

    async def _refuse(self, send: Any) -> None:
        error = _TooLargeError(
            f"the body is larger than {self._largest} bytes",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "send fewer rows a request, or raise serving.max_body",
        )
        self._model.metrics.refused(error)
        content = json.dumps({"error": error.message, "hint": error.hint, "problems": []}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": int(error.status), "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _replay(body: bytes, receive: Any) -> Any:
    """A `receive` that gives the body at once, and then what comes from the connection."""
    sent = False

    async def again() -> Any:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
