"""Write tile states: all keys from history, or the keys that a batch of new events and labels touches.

Both ways end in the same `tiles.apply`. A batch may be delivered again, late or shuffled within the horizon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl
from feast import FeatureView

from sluice.errors import FeatureError
from sluice.features.arrivals import batches_of, by_key, instants
from sluice.features.ledger import LabelLedger
from sluice.features.online_store import Row, StateStore, next_version, state_arrays
from sluice.features.repository import Part
from sluice.features.state import TIME, VERSION
from sluice.steps import Progress, silent
from sluice.windows import tiles
from sluice.windows.definition import WindowView
from sluice.windows.finish import NULL
from sluice.windows.stream import entries_of

EVENTS, LABELS = "events", "labels"
_KEYS_AT_ONCE = 2000


@dataclass(frozen=True)
class Online:
    """One window view and its twin in the online store."""

    part: Part
    view: WindowView
    twin: FeatureView


@dataclass(frozen=True)
class Materialised:
    """How many keys were written, and how many were left because their state is newer."""

    written: int
    kept: int


class Updater:
    """The one writer of tile states."""

    def __init__(
        self, store: StateStore, parts: tuple[Online, ...], streams: FeatureView, ledger: LabelLedger, horizon_us: int
    ) -> None:
        self._store, self._parts, self._streams, self._ledger = store, parts, streams, ledger
        self._horizon_us = horizon_us
        widths = [online.view.widths[-1] + online.view.hop_us for online in parts if online.view.stream == LABELS]
        self._keep_labels_us = max(widths, default=0) + horizon_us

    def materialise(self, events: pl.DataFrame, labels: pl.DataFrame, progress: Progress = silent) -> Materialised:
        """State of every key out of history. A key whose stored state is newer than the history's is left alone.

        Raises:
            FeatureError: the tables lack a column, or the store does not answer.
        """
        written = kept = 0
        with self._store.writing():
            for i, online in enumerate(self._parts):
                entries = self._seen(online, entries_of(online.view, events, labels))
                for states in self._from_history(online, entries):
                    newer = self._not_newer(online, states)
                    self._store.write(online.twin, newer)
                    written, kept = written + len(newer), kept + len(states) - len(newer)
                progress("materialise", i + 1, len(self._parts), online.view.name)
            self._ledger.remember(_recent_labels(labels, self._keep_labels_us), self._keep_labels_us)
            self._advance(_newest(events, labels))
        return Materialised(written, kept)

    def apply(
        self, events: pl.DataFrame | None = None, labels: pl.DataFrame | None = None, *, until_us: int | None = None
    ) -> None:
        """Apply new events and labels to the keys that they touch.

        Args:
            until_us: both streams are known to be complete up to this instant (µs since 1970); default: up to the
                newest arrival in each of the tables.

        Raises:
            FeatureError: the tables lack a column, or the store does not answer.
        """
        with self._store.writing():
            before = self._ledger.before(labels) if labels is not None and labels.height else None
            for online in self._parts:
                table = labels if online.view.stream == LABELS else events
                if table is not None and table.height:
                    self._update(online, batches_of(online.view, table, before if table is labels else None))
            if labels is not None and labels.height:
                self._ledger.remember(labels, self._keep_labels_us)
            self._advance(_newest(events, labels) | (dict.fromkeys((EVENTS, LABELS), until_us) if until_us else {}))

    def refresh(self, view: FeatureView, rows: Iterable[tuple[str, Row]], until_us: int) -> int:
        """Write an ordinary view's values as known at `until_us`; nothing where newer ones are stored. Keys written."""
        with self._store.writing():
            stored = self._store.watermarks(self._streams, [view.name])
            if stored and stored[view.name][0] >= until_us:
                return 0
            found = dict(rows)
            self._store.write(view, found)
            self._advance({view.name: until_us})
        return len(found)

    def _update(self, online: Online, batches: dict[str, tiles.Entries]) -> None:
        rows = {}
        for key, found in zip(batches, self._store.read(online.twin, list(batches)), strict=True):
            old = tiles.empty(online.view) if found is None else tiles.from_arrays(online.view, state_arrays(found))
            new = tiles.apply(online.view, old, batches[key], horizon_us=self._horizon_us)
            version = next_version(0 if found is None else found[VERSION].int64_val, new.arrival)
            rows[key] = _row(new, version)
        self._store.write(online.twin, rows)

    def _from_history(self, online: Online, entries: pl.DataFrame) -> Iterator[dict[str, tiles.TileState]]:
        nothing, states = tiles.empty(online.view), {}
        for key, batch in by_key(online.view, entries):
            states[key] = tiles.apply(online.view, nothing, batch, horizon_us=self._horizon_us)
            if len(states) == _KEYS_AT_ONCE:
                yield states
                states = {}
        yield states

    def _not_newer(self, online: Online, states: dict[str, tiles.TileState]) -> dict[str, Row]:
        rows = {}
        for (key, state), found in zip(states.items(), self._store.read(online.twin, list(states)), strict=True):
            if found is None:
                rows[key] = _row(state, next_version(0, state.arrival))
            elif found["arrival"].int64_val <= state.arrival:
                rows[key] = _row(state, next_version(found[VERSION].int64_val, state.arrival))
        return rows

    def _seen(self, online: Online, entries: pl.DataFrame) -> pl.DataFrame:
        """Without what no question can see any more, so that building all keys is quick; a key keeps its newest."""
        reach = online.view.widths[-1] + online.view.hop_us + self._horizon_us
        return entries.filter(pl.col("time") > pl.col("time").max().over("key") - reach)

    def _advance(self, newest: dict[str, int]) -> None:
        stored = self._store.watermarks(self._streams, list(newest))
        rows = {}
        for stream, time in newest.items():
            old, version = stored.get(stream, (NULL, 0))
            if time > old:
                version = next_version(version, time)
                rows[stream] = Row({TIME: time, VERSION: version}, version)
        self._store.write(self._streams, rows)


def _row(state: tiles.TileState, version: int) -> Row:
    return Row({**tiles.to_arrays(state), VERSION: version}, version)


def _newest(events: pl.DataFrame | None, labels: pl.DataFrame | None) -> dict[str, int]:
    """The last instant that each stream has reached."""
    found = {}
    for stream, table, column in ((EVENTS, events, "arrival"), (LABELS, labels, "label_time")):
        if table is not None and table.height:
            if column not in table.columns:
                raise FeatureError(f"the {stream} have no column {column}", "pass what `sluice ingest` wrote")
            found[stream] = int(instants(table.get_column(column)).max())
    return found


def _recent_labels(labels: pl.DataFrame, keep_us: int) -> pl.DataFrame:
    return labels.filter(pl.col("label_time").to_physical() > pl.col("label_time").to_physical().max() - keep_us)
