"""Redis Streams as a source. A follower is a consumer group: its position says what it has applied, and holds what
comes after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import redis

from sluice.features.online_store import told
from sluice.features.redis_rows import connect
from sluice.features.stores import redis_address
from sluice.settings import UseCase
from sluice.updates.source import START, Entry, Kind, Partition, Standing, earliest, is_before, stream_name

KINDS = ("event", "label", "until")


class RedisSource:
    """The partitions of a use case's stream. Every method raises FeatureError where Redis does not answer."""

    def __init__(self, use_case: UseCase, *, clock: Callable[[], float] = time.time) -> None:
        online = use_case.features.online
        self._use_case, self._settings, self._clock = use_case, online.updates, clock
        self._client: redis.Redis = connect(redis_address(online, online.updates.address or online.address))

    def read(self, partition: Partition, after: str, count: int) -> list[Entry]:
        """See `Source`."""
        with told():
            found: Any = self._client.xread({self._name(partition): after}, count=count)
        return [_entry(position, fields) for _, entries in found for position, fields in entries]

    def wait(self, after: Mapping[Partition, str], seconds: float) -> None:
        """See `Source`."""
        if not after:
            time.sleep(seconds)
            return
        names = {self._name(partition): position for partition, position in after.items()}
        with told():
            self._client.xread(cast(Any, names), count=1, block=max(int(seconds * 1000), 1))

    def standing(self, partition: Partition) -> Standing:
        """See `Source`."""
        with told():
            try:
                said: Any = self._client.xinfo_stream(self._name(partition))
            except redis.ResponseError as error:
                if "no such key" not in str(error):
                    raise
                return Standing(0, 0, None, START)
        first, added = said["first-entry"], int(said["entries-added"])
        entry = None if first is None else _entry(*first)
        return Standing(added, added - int(said["length"]), entry, said["last-generated-id"].decode())

    def follows(self, partition: Partition, follower: str) -> bool:
        """See `Source`."""
        return follower in self._followers(partition)

    def follow(self, partition: Partition, follower: str) -> None:
        """See `Source`."""
        name = self._name(partition)
        with told():
            try:
                self._client.xgroup_create(name, follower, id=START, mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
                self._client.xgroup_setid(name, follower, START)

    def let_go(self, partition: Partition, follower: str, position: str, count: int) -> None:
        """See `Source`. Half of the stream's capacity is kept free of what was applied, whatever `keep` says."""
        name = self._name(partition)
        with told():
            self._client.xgroup_setid(name, follower, position, entries_read=count)
            length: Any = self._client.xlen(name)
        applied = earliest(list(self._followers(partition).values()))
        young = f"{int((self._clock() - self._settings.keep / timedelta(seconds=1)) * 1000)}-0"
        cut = applied if length > self._settings.capacity // 2 else earliest([applied, young])
        if is_before(START, cut):
            with told():
                self._client.xtrim(name, minid=cut, approximate=True)

    def _followers(self, partition: Partition) -> dict[str, str]:
        with told():
            try:
                groups: Any = self._client.xinfo_groups(self._name(partition))
            except redis.ResponseError as error:
                if "no such key" not in str(error):
                    raise
                return {}
        return {group["name"].decode(): group["last-delivered-id"].decode() for group in groups}

    def _name(self, partition: Partition) -> str:
        return stream_name(self._use_case, partition)


def _entry(position: bytes, fields: Mapping[bytes, bytes] | None) -> Entry:
    """A record: one field, named by its kind."""
    text = position.decode()
    kind, body = next(iter((fields or {}).items()), (b"", b""))
    known = kind.decode("ascii", "replace")
    accepted = int(text.partition("-")[0]) / 1000
    return Entry(text, accepted, cast(Kind, known if known in KINDS else ""), body)
