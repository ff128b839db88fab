"""Tile states in Feast's online store: read by many, written by one updater at a time, never by an older version.

SQLite lets an older row overwrite a newer one and Redis drops what is not newer, so each row carries a version that
grows with every write of its key, as a column and as Feast's event timestamp (whole seconds: SQLite keeps no finer).
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, StringList, Value
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from sluice.errors import FeatureError
from sluice.features.state import STATE_COLUMNS, TIME, VERSION

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 2000
_LONGEST_WAIT = 0.2
"""Seconds between tries to reach Redis: a request waits for an answer or for an error, not for long."""
_LEASE = 60.0
"""Seconds that a dead updater blocks others on Redis."""


@dataclass(frozen=True)
class Row:
    """One row of a view: its columns as arrays or scalars, and its version (seconds since 1970)."""

    columns: Mapping[str, Any]
    version: int


class StateStore:
    """Rows of Feast views by key. Every thread has a connection of its own."""

    def __init__(self, config: RepoConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._local = threading.local()
        self._known: dict[str, tuple[str, list[str]]] = {}

    @property
    def _online(self) -> OnlineStore:
        if not hasattr(self._local, "store"):
            self._local.store = get_online_store_from_config(self._config.online_store)
            with _told():
                if self.is_sqlite:
                    connection: sqlite3.Connection = self._local.store._get_conn(self._config)
                    # Readers do not wait for the writer. After a power cut the last writes may be gone; the same
                    # events given again bring them back.
                    connection.execute("PRAGMA journal_mode=WAL")
                    connection.execute("PRAGMA synchronous=NORMAL")
                else:
                    client: redis.Redis = self._local.store._get_client(self._config.online_store)
                    client.set_retry(Retry(ExponentialBackoff(_LONGEST_WAIT, _LONGEST_WAIT / 8), 3))
        store: OnlineStore = self._local.store
        return store

    @property
    def is_sqlite(self) -> bool:
        """Whether state lies in a file of the folder."""
        return str(self._config.online_store.type) == "sqlite"

    def read(self, view: FeatureView, keys: Sequence[str]) -> list[Mapping[str, Value] | None]:
        """The rows of some keys, None for a key that has none.

        Raises:
            FeatureError: the store does not answer.
        """
        if not keys:
            return []
        join_key, columns = self._shape(view)
        protos = [entity_key(join_key, key) for key in keys]
        with _told():
            found = self._online.online_read(self._config, view, protos, columns)
        return [values or None for _, values in found]

    def write(self, view: FeatureView, rows: Mapping[str, Row]) -> None:
        """Write rows whose version is newer than the stored one's; call it inside `writing()`.

        Raises:
            FeatureError: the store does not answer.
        """
        join_key, keys = self._shape(view)[0], list(rows)
        for start in range(0, len(keys), _BATCH):
            batch: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]] = [
                (entity_key(join_key, key), to_values(rows[key]), version_time(rows[key].version), None)
                for key in keys[start : start + _BATCH]
            ]
            with _told():
                self._online.online_write_batch(self._config, view, batch, None)
                self._stay()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The one updater at a time: a lock file in the folder and, on Redis, a lease there as well."""
        with (self._folder / "updater.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self.is_sqlite:
                yield
                return
            with _told():
                client: redis.Redis = self._online._get_client(self._config.online_store)  # type: ignore[attr-defined]
                lease = client.lock(f"{self._config.project}:updater", timeout=_LEASE, blocking_timeout=2 * _LEASE)
                if not lease.acquire():
                    raise FeatureError("another updater holds the online store", "stop it, or wait for it")
            self._local.lease = lease
            try:
                yield
            finally:
                self._local.lease = None
                with _told():
                    lease.release()

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
        """Up to where each stream was applied: µs since 1970, and the row's version. Streams never applied: none."""
        found = zip(streams, self.read(view, streams), strict=True)
        return {s: (row[TIME].int64_val, row[VERSION].int64_val) for s, row in found if row is not None}


def entity_key(join_key: str, key: str) -> EntityKey:
    """Feast's form of a key."""
    return EntityKey(join_keys=[join_key], entity_values=[Value(string_val=key)])


def version_time(version: int) -> datetime:
    """A version as Feast's event timestamp."""
    return _EPOCH + timedelta(seconds=version)


def next_version(previous: int, arrival_us: int) -> int:
    """Strictly larger than `previous`, and near the time of what was applied: whole seconds since 1970."""
    return max(previous + 1, arrival_us // 1_000_000, 1)


def to_values(row: Row) -> dict[str, Value]:
    """A row in Feast's form."""
    return {name: _value(value) for name, value in row.columns.items()}


def state_arrays(values: Mapping[str, Value]) -> dict[str, Any]:
    """What `tiles.from_arrays` takes, out of a row of a state view."""
    arrays: dict[str, Any] = {}
    for name in STATE_COLUMNS:
        value = values[name]
        kind = value.WhichOneof("val")
        if kind == "int64_val":
            arrays[name] = value.int64_val
        else:
            arrays[name] = list(getattr(value, kind).val) if kind else []
    return arrays


def _value(value: Any) -> Value:
    if value is None:
        return Value()
    if isinstance(value, int):
        return Value(int64_val=value)
    if isinstance(value, float):
        return Value(double_val=value)
    if isinstance(value, str):
        return Value(string_val=value)
    if value.dtype.kind == "U":
        return Value(string_list_val=StringList(val=value.tolist()))
    return Value(int64_list_val=Int64List(val=value.tolist()))


@contextmanager
def _told() -> Iterator[None]:
    """The stores' own failures, as ours."""
    try:
        yield
    except (sqlite3.Error, redis.RedisError, ConnectionError) as error:
        raise FeatureError(
            f"the online store does not answer: {type(error).__name__}: {error}",
            "is Redis up at features.online.address, or the folder of the SQLite file writable?",
        ) from error
