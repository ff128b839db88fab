"""Write events and labels to the stream: to the partition of each of their entities' keys, all of them or none.

A stream that is full takes nothing: its producer waits, and nothing that was not applied is ever dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson
import redis

from sluice.errors import FeatureError
from sluice.features.online_store import told
from sluice.features.redis_rows import connect
from sluice.features.stores import redis_address
from sluice.ingest.events import SHARED
from sluice.settings import UseCase
from sluice.updates.source import Partition, partition_number, partitions_of, stream_name

Record = tuple[Literal["event", "label"], Mapping[str, Any]]
_LOOKS_EVERY = 0.05


class FullError(FeatureError):
    """The stream is full: its updater is behind. Nothing was written; send the same records again later."""


class Producer:
    """Writes to a use case's stream. It may be called again with the same records: their ids are counted once."""

    def __init__(self, use_case: UseCase) -> None:
        online = use_case.features.online
        self._use_case, self._settings = use_case, online.updates
        self._shared = {n: c[len(SHARED) :] for n, c in use_case.data.columns.entities.items() if c.startswith(SHARED)}
        self._client: redis.Redis = connect(redis_address(online, online.updates.address or online.address))

    def send(self, records: Sequence[Record], *, patience: float = 0.0) -> None:
        """Write records in their order.

        Args:
            records: kind and content, as docs/updater.md has it: an event is what is sent to the endpoint.
            patience: seconds to wait for room.

        Raises:
            FullError: there is no room.
            FeatureError: a record names no key for an entity, or Redis does not answer or refuses.
        """
        lines = [line for kind, content in records for line in self._lines(kind, content)]
        self._wait(dict.fromkeys(name for name, _, _ in lines), time.monotonic() + patience)
        self._write(lines)

    def until(self, instant: str) -> None:
        """Say that all events and labels up to an instant (RFC 3339) were sent, where there were none to send."""
        self._write(
            [(stream_name(self._use_case, p), "until", instant.encode()) for p in partitions_of(self._use_case)]
        )

    def _write(self, lines: Iterable[tuple[str, str, bytes]]) -> None:
        with told(), self._client.pipeline(transaction=True) as pipe:
            for name, kind, body in lines:
                pipe.xadd(name, {kind: body})
            pipe.execute()

    def _wait(self, names: Iterable[str], deadline: float) -> None:
        asked = list(names)
        while True:
            with told(), self._client.pipeline(transaction=False) as pipe:
                for name in asked:
                    pipe.xlen(name)
                lengths: list[int] = pipe.execute()
            fullest = max(lengths, default=0)
            if fullest < self._settings.capacity:
                return
            if time.monotonic() >= deadline:
                raise FullError(
                    f"the stream is full: {fullest:,} records wait in {asked[lengths.index(fullest)]}",
                    "send them again later; look at the updater's lag, or raise features.online.updates.capacity",
                )
            time.sleep(_LOOKS_EVERY)

    def _lines(self, kind: str, content: Mapping[str, Any]) -> list[tuple[str, str, bytes]]:
        body = orjson.dumps(content)
        lines = []
        for entity in self._use_case.data.columns.entities:
            key = content.get(entity, self._shared.get(entity))
            if key is None or key == "":
                raise FeatureError(f"{kind} {content.get('event_id')!r}: no {entity}", "name the key of every entity")
            partition = Partition(entity, partition_number(str(key), self._settings.partitions))
            lines.append((stream_name(self._use_case, partition), kind, body))
        return lines
