"""CloudEvents 1.0 as KServe's payload logger sends them (binary mode), or structured."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import unquote

from sluice.errors import RequestError
from sluice.payloads.parsing import parsed

KINDS: dict[str, Literal["requests", "responses"]] = {
    "org.kubeflow.serving.inference.request": "requests",
    "org.kubeflow.serving.inference.response": "responses",
}
STRUCTURED = "application/cloudevents+json"
_LONGEST = 1024
"""Characters of an attribute; none of KServe's comes near it."""


class MalformedError(RequestError):
    """An event that cannot be stored. `reason` is what it is counted under."""

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, HTTPStatus.BAD_REQUEST, hint)
        self.reason = reason


@dataclass(frozen=True)
class Event:
    """One event: its name (source, id, type), when it happened, and the body that was logged."""

    source: str
    id: str
    type: str
    time: datetime
    data: bytes
    service: str = ""
    endpoint: str = ""

    @property
    def kind(self) -> Literal["requests", "responses"]:
        """Request or response."""
        return KINDS[self.type]

    @property
    def key(self) -> bytes:
        """What names the event, in 16 bytes; the service, since KServe's loggers of all services name one source."""
        return blake2b(f"{self.source}\0{self.service}\0{self.id}\0{self.type}".encode(), digest_size=16).digest()

    @property
    def question(self) -> bytes:
        """What request and response have in common, in 16 bytes."""
        return blake2b(f"{self.source}\0{self.service}\0{self.id}".encode(), digest_size=16).digest()


def read_event(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Event:
    """The event of an HTTP request; header names in lower case.

    Raises:
        MalformedError: it is no CloudEvent 1.0, lacks what the ledger needs, or is of another type.
    """
    named = {name: value for name, value in headers if name.startswith(b"ce-") or name == b"content-type"}
    content_type = named.pop(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
    if content_type == STRUCTURED:
        return _structured(body)
    if content_type.startswith("application/cloudevents"):
        raise MalformedError("envelope", f"{content_type} is not taken", "send one event a request")
    if not named:
        raise MalformedError(
            "envelope", "this is no CloudEvent: there are no ce- headers", "see docs/payload-ledger.md"
        )
    return _event({name[3:].decode("latin-1"): _header(value) for name, value in named.items()}, body)


def _structured(body: bytes) -> Event:
    try:
        document = parsed(body)
    except ValueError:
        raise MalformedError("envelope", "the structured event is no JSON") from None
    if not isinstance(document, dict):
        raise MalformedError("envelope", "the structured event is no JSON object")
    if "data_base64" in document:
        try:
            return _event(document, base64.b64decode(document["data_base64"], validate=True))
        except (binascii.Error, TypeError, ValueError):
            raise MalformedError("envelope", "data_base64 is no base64") from None
    data = document.get("data")
    return _event(
        document, data.encode() if isinstance(data, str) else b"" if data is None else json.dumps(data).encode()
    )


def _event(attributes: Mapping[str, Any], data: bytes) -> Event:
    version = attributes.get("specversion")
    if version != "1.0":
        raise MalformedError("envelope", f"specversion: expected 1.0, got {version!a}")
    kind = _text(attributes, "type")
    if kind not in KINDS:
        raise MalformedError("type", f"type: {kind!a} is not taken", f"the types are {', '.join(KINDS)}")
    return Event(
        source=_text(attributes, "source"),
        id=_text(attributes, "id"),
        type=kind,
        time=_instant(_text(attributes, "time")),
        data=data,
        service=_text(attributes, "inferenceservicename", ""),
        endpoint=_text(attributes, "endpoint", ""),
    )


def _text(attributes: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = attributes.get(name, default)
    if not isinstance(value, str) or (not value and default is None):
        raise MalformedError("envelope", f"{name}: expected text, got {'nothing' if value is None else repr(value)}")
    if len(value) > _LONGEST or "\0" in value or not _is_unicode(value):
        raise MalformedError("envelope", f"{name}: expected at most {_LONGEST} characters of valid Unicode")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _header(value: bytes) -> str:
    """Attributes in headers are percent-encoded UTF-8."""
    text = value.decode("latin-1")
    return unquote(text, errors="replace") if "%" in text else text


def _instant(text: str) -> datetime:
    """RFC 3339; nanoseconds, which Go writes, are cut off."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else _no_zone(text)
    except (ValueError, OverflowError):
        raise MalformedError("envelope", f"time: expected RFC 3339 with a zone, got {text[:60]!a}") from None


def _no_zone(text: str) -> datetime:
    raise ValueError(text)
