"""The updater's own book of labels: what a correction takes back. Readers never need it.

A file beside the online store, whichever that is. It keeps a label as long as some window may still hold it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from sluice.features.arrivals import instants

_ASKED_AT_ONCE = 500


class LabelLedger:
    """Labels that were applied: the columns of the label stream, one row an event id and label time."""

    def __init__(self, folder: Path, entities: Sequence[str]) -> None:
        self._path = folder / "labels.db"
        self._opened: sqlite3.Connection | None = None
        instant, text = pl.Datetime("us", "UTC"), pl.String()
        self._schema: dict[str, pl.DataType] = dict.fromkeys(entities, text)
        self._schema |= {"event_id": text, "label": pl.Float64(), "label_time": instant, "event_time": instant}

    def before(self, labels: pl.DataFrame) -> pl.DataFrame | None:
        """Labels applied earlier for the same events; None where there are none."""
        ids = list(dict.fromkeys(labels.get_column("event_id").to_list()))
        rows: list[tuple[object, ...]] = []
        with self._connection as connection:
            for start in range(0, len(ids), _ASKED_AT_ONCE):
                asked = ids[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(asked))
                rows += connection.execute(f"SELECT * FROM labels WHERE event_id IN ({marks})", asked)
        if not rows:
            return None
        stored = pl.DataFrame(rows, schema={n: _plain(t) for n, t in self._schema.items()}, orient="row")
        typed = stored.with_columns(pl.col(name).cast(dtype) for name, dtype in self._schema.items())
        return typed.select(name for name in labels.columns if name in self._schema)

    def remember(self, labels: pl.DataFrame, keep_us: int) -> None:
        """Note that labels were applied; drop what lies `keep_us` microseconds or more behind the newest."""
        there = [name for name in self._schema if name in labels.columns]
        plain = [instants(c).tolist() if c.dtype.is_temporal() else c.to_list() for c in map(labels.get_column, there)]
        marks, names = ",".join("?" * len(there)), ",".join(f'"{name}"' for name in there)
        with self._connection as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO labels ({names}) VALUES ({marks})", zip(*plain, strict=True)
            )
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
