"""Where the ledger's files lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from sluice.storage import Store

Kind = Literal["requests", "responses"]
ROOT = "payloads"
ANY_VERSION = "any"


@dataclass(frozen=True, order=True)
class Partition:
    """One day of one version's answers, or one day of a model's requests."""

    model: str
    kind: Kind
    version: str
    day: date

    @property
    def prefix(self) -> str:
        """Under which its files lie."""
        return f"{ROOT}/{self.model}/{self.kind}/{self.version}/{self.day.isoformat()}"


def partition_of(model: str, kind: Kind, version: str, time: datetime) -> Partition:
    """The partition that an event of this time belongs to; days are UTC's."""
    return Partition(model, kind, version, time.astimezone(UTC).date())


def partitions(store: Store, model: str, kind: Kind | None = None) -> list[Partition]:
    """All partitions of a model that hold anything, in order."""
    prefix = f"{ROOT}/{model}/{kind}" if kind else f"{ROOT}/{model}"
    return sorted({found for key in store.keys(prefix) if (found := _parsed(key)) is not None})


def models(store: Store) -> Iterator[str]:
    """The models that the ledger knows, in order."""
    yield from sorted({key.split("/")[1] for key in store.keys(ROOT)})


def _parsed(key: str) -> Partition | None:
    parts = key.split("/")
    if len(parts) != 6 or parts[2] not in ("requests", "responses"):
        return None
    try:
        day = date.fromisoformat(parts[4])
    except ValueError:
        return None
    return Partition(parts[1], "requests" if parts[2] == "requests" else "responses", parts[3], day)
