"""Windows and what was found in each: a document a window in the store, written once.

    monitoring/<model>/windows/<version>/<end>.json

`end` is the first instant after the window. What the rules look at is read from here, so that a monitor that was killed
can be started again and counts no window twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sluice import digests
from sluice.registry.formats import FORMAT, read_document
from sluice.storage import Store
from sluice.watch.rules import Window

ROOT = "monitoring"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Span:
    """A window's time: from `start` up to but not including `end`, both UTC midnights."""

    start: datetime
    end: datetime


def latest_span(at: datetime, length: timedelta, settle: timedelta) -> Span:
    """The last window that had ended, and settled, at an instant; windows lie back to back from 1970-01-01 on."""
    end = _EPOCH + (at - settle - _EPOCH) // length * length
    return Span(end - length, end)


def window_key(model: str, version: str, end: datetime) -> str:
    """Where a window's document lies."""
    return f"{ROOT}/{model}/windows/{version}/{end.astimezone(UTC).strftime(_STAMP)}.json"


def read_window(store: Store, model: str, version: str, end: datetime) -> dict[str, Any] | None:
    """A window's document; None where it is not recorded."""
    key = window_key(model, version, end)
    return read_document(store.get(key), f"{store.url}/{key}") if store.exists(key) else None


def record_window(store: Store, document: Mapping[str, Any]) -> dict[str, Any]:
    """Record a window, unless it is recorded already; returns what is recorded: of two writers the first one's."""
    end = datetime.fromisoformat(document["end"])
    key = window_key(document["model"], document["version"], end)
    store.put_if_absent(key, digests.canonical_json({"format": FORMAT, **document}))
    return read_document(store.get(key), f"{store.url}/{key}")


def read_windows(store: Store, model: str, version: str, *, until: datetime | None = None) -> list[dict[str, Any]]:
    """The documents of a version's windows in order, those that end after `until` left out."""
    keys = sorted(key for key in store.keys(f"{ROOT}/{model}/windows/{version}") if key.endswith(".json"))
    found = [read_document(store.get(key), f"{store.url}/{key}") for key in keys]
    return [one for one in found if until is None or datetime.fromisoformat(one["end"]) <= until]


def newest_window(store: Store, model: str, version: str) -> dict[str, Any] | None:
    """The document of a version's last recorded window; None where there is none."""
    keys = [key for key in store.keys(f"{ROOT}/{model}/windows/{version}") if key.endswith(".json")]
    return read_document(store.get(max(keys)), f"{store.url}/{max(keys)}") if keys else None


def due_after(window: Mapping[str, Any] | None, live_since: datetime, length: timedelta, settle: timedelta) -> datetime:
    """From when on a version's next window can be recorded.

    Args:
        window: the last recorded one; None: the first one is awaited, in which the version became live.
    """
    began = latest_span(live_since, length, timedelta()).end
    return (began if window is None else datetime.fromisoformat(window["end"])) + length + settle


def as_window(document: Mapping[str, Any]) -> Window:
    """What the rules need of a window's document."""
    faults = tuple(fault["feature"] for fault in document["faults"])
    return Window(datetime.fromisoformat(document["end"]), frozenset(document["violated"]), faults)


def days_of(document: Mapping[str, Any]) -> tuple[date, date]:
    """First and last day of a window."""
    start, end = (datetime.fromisoformat(document[name]) for name in ("start", "end"))
    return start.date(), (end - timedelta(microseconds=1)).date()
