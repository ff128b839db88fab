"""The updater's own book of labels: what a correction takes back. Readers never need it.

A file beside an embedded store; with Redis it lies there, where the state is, and is one book for each entity, as
their updaters work apart. It keeps a label as long as some window may still hold it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson
import polars as pl

from sluice.features.arrivals import instants
from sluice.features.online_store import StateStore, told
from sluice.features.redis_writes import Remembered

_ASKED_AT_ONCE = 500
_LONGER = 2
"""Redis forgets by its own clock: what comes late still finds what it corrects."""


class LabelLedger(Protocol):
    """Labels that were applied: the columns of the label stream, one row an event id and label time."""

    def before(self, entity: str, labels: pl.DataFrame) -> pl.DataFrame | None:
        """Labels applied earlier for the same events to the windows of an entity; None where there are none."""

    def remember(self, labels: pl.DataFrame, keep_us: int) -> None:
        """Note that labels were applied; drop what lies `keep_us` microseconds or more behind the newest."""


def _schema_of(entities: Sequence[str]) -> dict[str, pl.DataType]:
    instant, text = pl.Datetime("us", "UTC"), pl.String()
    schema: dict[str, pl.DataType] = dict.fromkeys(entities, text)
    return schema | {"event_id": text, "label": pl.Float64(), "label_time": instant, "event_time": instant}


def _table(rows: Sequence[tuple[object, ...]], schema: dict[str, pl.DataType], like: pl.DataFrame) -> pl.DataFrame:
    stored = pl.DataFrame(rows, schema={n: _plain(t) for n, t in schema.items()}, orient="row")
    typed = stored.with_columns(pl.col(name).cast(dtype) for name, dtype in schema.items())
    return typed.select(name for name in like.columns if name in schema)


def _rows(labels: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    plain = [instants(c).tolist() if c.dtype.is_temporal() else c.to_list() for c in map(labels.get_column, names)]
    return zip(*plain, strict=True)


class RedisLedger:
    """The labels in Redis, a string an event and entity. It writes nothing that the updater does not commit.

    Args:
        over: entities that have windows over labels.
    """

    def __init__(self, store: StateStore, entities: Sequence[str], over: Sequence[str]) -> None:
        self._store, self._over, self._schema = store, tuple(over), _schema_of(entities)
        self._names = [name for name in self._schema if name != "event_id"]

    def before(self, entity: str, labels: pl.DataFrame) -> pl.DataFrame | None:
        """See `LabelLedger`."""
        found = self._found(entity, list(dict.fromkeys(labels.get_column("event_id").to_list())))
        rows = [self._with_id(event_id, row) for event_id, kept in found.items() for row in kept]
        return _table(rows, self._schema, labels) if rows else None

    def remembered(self, entity: str, labels: pl.DataFrame, keep_us: int) -> list[Remembered]:
        """What has to be written with the state of an entity when these labels are applied to it."""
        if entity not in self._over:
            return []
        found = self._found(entity, list(dict.fromkeys(labels.get_column("event_id").to_list())))
        at = self._names.index("label_time")
        for event_id, *row in _rows(labels, ["event_id", *self._names]):
            found[event_id] = [kept for kept in found.get(event_id, []) if kept[at] != row[at]] + [row]
        milliseconds = max(_LONGER * keep_us // 1000, 1)
        return [Remembered(self._key(entity, name), orjson.dumps(kept), milliseconds) for name, kept in found.items()]

    def remember(self, labels: pl.DataFrame, keep_us: int) -> None:
        """See `LabelLedger`."""
        for entity in self._over:
            for part in labels.iter_slices(_ASKED_AT_ONCE):
                with told(), self._store.redis_rows.client.pipeline(transaction=False) as pipe:
                    for each in self.remembered(entity, part, keep_us):
                        pipe.set(each.key, each.value, px=each.milliseconds)
                    pipe.execute()

    def _found(self, entity: str, ids: Sequence[str]) -> dict[str, list[list[Any]]]:
        if not ids:
            return {}
        with told():
            held: Any = self._store.redis_rows.client.mget([self._key(entity, name) for name in ids])
        return {name: orjson.loads(value) for name, value in zip(ids, held, strict=True) if value is not None}

    def _with_id(self, event_id: str, row: list[Any]) -> tuple[Any, ...]:
        kept = dict(zip(self._names, row, strict=True)) | {"event_id": event_id}
        return tuple(kept[name] for name in self._schema)

    def _key(self, entity: str, event_id: str) -> str:
        return f"{self._store.project}:labels:{entity}:{event_id}"


class FolderLedger:
    """The labels in a file beside an embedded store, one book for all entities: they are updated together."""

    def __init__(self, folder: Path, entities: Sequence[str]) -> None:
        self._path = folder / "labels.db"
        self._opened: sqlite3.Connection | None = None
        self._schema = _schema_of(entities)

    def before(self, entity: str, labels: pl.DataFrame) -> pl.DataFrame | None:  # noqa: ARG002
        """See `LabelLedger`."""
        ids = list(dict.fromkeys(labels.get_column("event_id").to_list()))
        rows: list[tuple[object, ...]] = []
        with self._connection as connection:
            for start in range(0, len(ids), _ASKED_AT_ONCE):
                asked = ids[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(asked))
                rows += connection.execute(f"SELECT * FROM labels WHERE event_id IN ({marks})", asked)
        return _table(rows, self._schema, labels) if rows else None

    def remember(self, labels: pl.DataFrame, keep_us: int) -> None:
        """See `LabelLedger`."""
        there = [name for name in self._schema if name in labels.columns]
        marks, names = ",".join("?" * len(there)), ",".join(f'"{name}"' for name in there)
        with self._connection as connection:
            connection.executemany(f"INSERT OR REPLACE INTO labels ({names}) VALUES ({marks})", _rows(labels, there))
            oldest = "SELECT MAX(label_time) - ? FROM labels"
            connection.execute(f"DELETE FROM labels WHERE label_time <= ({oldest})", (keep_us,))

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            columns = ",".join(f'"{name}" {_affinity(dtype)}' for name, dtype in self._schema.items())
            # Used by one thread at a time: whoever holds the updater's lock.
            self._opened = sqlite3.connect(self._path, check_same_thread=False)
            self._opened.execute("PRAGMA journal_mode=WAL")
            self._opened.execute("PRAGMA synchronous=NORMAL")
            self._opened.execute(f"CREATE TABLE IF NOT EXISTS labels ({columns}, PRIMARY KEY (event_id, label_time))")
            self._opened.execute("CREATE INDEX IF NOT EXISTS label_times ON labels (label_time)")
        return self._opened


def _affinity(dtype: pl.DataType) -> str:
    return "REAL" if dtype == pl.Float64 else "TEXT" if dtype == pl.String else "INTEGER"


def _plain(dtype: pl.DataType) -> pl.DataType:
    return pl.Int64() if isinstance(dtype, pl.Datetime) else dtype
