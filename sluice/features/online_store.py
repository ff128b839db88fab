"""Tile states in Feast's online store: read by many, written by one updater at a time, never by an older version.

Each row carries a version that grows with every write of its key, as a column and as Feast's event timestamp (whole
seconds: SQLite keeps no finer). A row in Redis is written only where it still is what it was when it was read.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from sluice.errors import FeatureError
from sluice.features import reading, redis_writes
from sluice.features.reading import Asked, Found, Rows
from sluice.features.redis_rows import PASSWORD, USER, RedisRows, connect
from sluice.features.rows import Row, entity_key, to_values, version_time

_BATCH = 2000
_LEASE = 60.0
"""Seconds that a dead updater blocks others on Redis."""


class StateStore:
    """Rows of Feast views by key. Every thread has a connection of its own."""

    def __init__(self, config: RepoConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._local = threading.local()
        self._known: dict[str, tuple[str, list[str]]] = {}

    @property
    def _online(self) -> OnlineStore:
        if not hasattr(self._local, "store"):
            opened: Any = get_online_store_from_config(self._config.online_store)
            with told():
                if self.is_sqlite:
                    connection: sqlite3.Connection = opened._get_conn(self._config)
                    # Readers do not wait for the writer. After a power cut the last writes may be gone; the same
                    # events given again bring them back.
                    connection.execute("PRAGMA journal_mode=WAL")
                    connection.execute("PRAGMA synchronous=NORMAL")
                else:
                    opened._client = connect(self._config.online_store.connection_string)
                    self._local.rows = RedisRows(opened._client, self._config)
            self._local.store = opened
        store: OnlineStore = self._local.store
        return store

    @property
    def is_sqlite(self) -> bool:
        """Whether state lies in a file of the folder."""
        return str(self._config.online_store.type) == "sqlite"

    @property
    def redis_rows(self) -> RedisRows:
        """This thread's connection to Redis."""
        assert self._online is not None and not self.is_sqlite
        rows: RedisRows = self._local.rows
        return rows

    @property
    def project(self) -> str:
        """What everything that belongs to this state is named by."""
        return str(self._config.project)

    def read(self, view: FeatureView, keys: Sequence[str]) -> list[Found]:
        """The rows of some keys, None for a key that has none.

        Raises:
            FeatureError: the store does not answer.
        """
        return self.read_all([(view, keys)]).read(view, keys)

    def read_all(self, asked: Asked) -> Rows:
        """The rows of some keys of several views: from Redis in one round trip.

        Raises:
            FeatureError: the store does not answer.
        """
        asked = [(view, keys) for view, keys in asked if keys]
        online = self._online
        with told():
            if self.is_sqlite:
                return Rows(asked, [self._read_sqlite(online, view, keys) for view, keys in asked])
            return Rows(asked, self.redis_rows.read(asked))

    def _read_sqlite(self, online: OnlineStore, view: FeatureView, keys: Sequence[str]) -> list[Found]:
        join_key, columns = self._shape(view)
        protos = [entity_key(join_key, key) for key in keys]
        return [values or None for _, values in online.online_read(self._config, view, protos, columns)]

    def write(self, view: FeatureView, rows: Mapping[str, Row]) -> set[str]:
        """Write rows; call it inside `writing()`. Returns the keys whose rows another writer was faster with.

        Raises:
            FeatureError: the store does not answer.
        """
        if not self.is_sqlite:
            with told():
                return redis_writes.write(self.redis_rows, view, rows, self._stay)
        join_key, keys = self._shape(view)[0], list(rows)
        for start in range(0, len(keys), _BATCH):
            batch: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]] = [
                (entity_key(join_key, key), to_values(rows[key]), version_time(rows[key].version), None)
                for key in keys[start : start + _BATCH]
            ]
            with told():
                self._online.online_write_batch(self._config, view, batch, None)
        return set()

    def erase(self, view: FeatureView, keys: Sequence[str]) -> None:
        """Remove rows from Redis, with whatever other views keep of these keys."""
        with told():
            self.redis_rows.client.unlink(*(self.redis_rows.key(view, key) for key in keys))

    def erase_all(self) -> None:
        """Remove all rows and remembered labels of this state from Redis."""
        with told():
            client = self.redis_rows.client
            for pattern in (f"*{self.project}", f"{self.project}:labels:*"):
                for name in client.scan_iter(match=pattern, count=_BATCH):
                    if self.redis_rows.is_ours(name):
                        client.unlink(name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The one updater at a time: a lock file in the folder and, on Redis, a lease there as well."""
        with self.folder_lock():
            if self.is_sqlite:
                yield
                return
            with told():
                lease = self.redis_rows.client.lock(
                    f"{self._config.project}:updater", timeout=_LEASE, blocking_timeout=2 * _LEASE
                )
                if not lease.acquire():
                    raise FeatureError("another updater holds the online store", "stop it, or wait for it")
            self._local.lease = lease
            try:
                yield
            finally:
                self._local.lease = None
                with told():
                    lease.release()

    @contextmanager
    def folder_lock(self) -> Iterator[None]:
        """The one process that writes into the folder."""
        with (self._folder / "updater.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _shape(self, view: FeatureView) -> tuple[str, list[str]]:
        """Join key and columns of a view; Feast derives both anew at every call."""
        if view.name not in self._known:
            self._known[view.name] = (view.join_keys[0], [field.name for field in view.features])
        return self._known[view.name]

    def _stay(self) -> None:
        lease = getattr(self._local, "lease", None)
        if lease is not None:
            lease.extend(_LEASE, replace_ttl=True)

    def watermarks(self, view: FeatureView, streams: Sequence[str]) -> dict[str, tuple[int, int]]:
        """See `sluice.features.reading.watermarks`."""
        return reading.watermarks(self, view, streams)


@contextmanager
def told() -> Iterator[None]:
    """The stores' own failures, as ours."""
    try:
        yield
    except (sqlite3.Error, redis.RedisError, ConnectionError) as error:
        raise FeatureError(
            f"the online store does not answer: {type(error).__name__}: {error}",
            f"is Redis up at features.online.address, and {USER} and {PASSWORD} set where it wants them? Or: is the "
            "folder of the SQLite file writable?",
        ) from error
