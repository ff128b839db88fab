"""One event over HTTP: who sends it, whether it is small enough, and what it says. For ASGI applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from sluice.errors import RequestError
from sluice.payloads.bodies import Answer, is_composed, read_answer
from sluice.payloads.callers import Callers
from sluice.payloads.events import Event, MalformedError, read_event
from sluice.payloads.names import NAME

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = list[tuple[bytes, bytes]]
CHALLENGE = 'Bearer realm="payload ledger"'
"""What goes with a 401, as `WWW-Authenticate`."""
_DRAINED = 16
"""A body up to this many times the limit is read and thrown away, so that its sender can read our answer."""


async def receive_event(
    model: str, headers: Headers, receive: Receive, callers: Callers, largest: int
) -> tuple[str, Event]:
    """The caller's name and the event of one request.

    Args:
        model: of the path.
        headers: names in lower case.
        largest: bytes of a body.

    Raises:
        RequestError: 404 the path names no model; 401 and 403 as `Callers.name_of`; 413 it is too large.
        MalformedError: it is no event.
    """
    try:
        if NAME.fullmatch(model) is None:
            raise RequestError("the path names no model", HTTPStatus.NOT_FOUND, "POST to /models/MODEL")
        caller = callers.name_of(authorization_of(headers), model)
    except RequestError:
        # Read, so that the answer can be read, and not kept.
        await _body(headers, receive, 0, largest * _DRAINED)
        raise
    body = await _body(headers, receive, largest, largest * _DRAINED)
    if body is None:
        text = f"the event is larger than {largest} bytes"
        raise RequestError(text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "raise payloads.max_event")
    return caller, read_event(headers, body)


def authorization_of(headers: Headers) -> str:
    """The header that says who asks; empty without one."""
    return next((value for name, value in headers if name == b"authorization"), b"").decode("latin-1")


def is_about_no_event(model: str, event: Event) -> bool:
    """Whether it is a scrape or a health check that went through the logger, or about composed vectors."""
    return (not event.data and event.kind == "requests") or is_composed(model, event.data)


def checked(model: str, event: Event, skew: timedelta) -> Answer | None:
    """The answer in a response; None for a request, whose body may be anything.

    Args:
        skew: how far ahead of ours the sender's clock may be.

    Raises:
        MalformedError: it is from the future, no answer, or another model's.
    """
    if event.time > datetime.now(UTC) + skew:
        raise MalformedError("time", f"time: {event.time.isoformat()} is in the future", "set the sender's clock")
    if event.kind == "requests":
        return None
    answer = read_answer(event.data)
    if answer.model != model:
        hint = "correct the path of the logger's address: /models/MODEL"
        raise MalformedError("model", f"model_name: {answer.model!a} answered, {model} is in the path", hint)
    return answer


async def _body(headers: Headers, receive: Receive, largest: int, drained: int) -> bytes | None:
    """The whole body, None when it is larger than `largest`."""
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    if int(declared) > drained:
        return None
    chunks, size, more = [], 0, True
    while more and size <= drained:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("the connection broke off", hint="send the event again")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= largest:
            chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks) if size <= largest else None
