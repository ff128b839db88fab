"""Tile states: of all keys from history, or of the keys that a batch of new events and labels touches.

All ways end in the same `tiles.apply`. A batch may be delivered again, late or shuffled within the horizon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl
from feast import FeatureView

from sluice.errors import FeatureError, FencedError
from sluice.features.arrivals import batches_of, by_key, instants
from sluice.features.ledger import LabelLedger
from sluice.features.online_store import StateStore
from sluice.features.reading import Found
from sluice.features.repository import Part
from sluice.features.rows import NOTHING, Row, next_version, state_arrays
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


@dataclass(frozen=True)
class Changed:
    """What a batch makes of the states of one entity: rows by view, and how its entries were taken, by stream."""

    rows: list[tuple[FeatureView, dict[str, Row]]] = field(default_factory=list)
    counted: dict[str, tiles.Counted] = field(default_factory=dict)


class Updater:
    """The one writer of tile states."""

    def __init__(
        self, store: StateStore, parts: tuple[Online, ...], streams: FeatureView, ledger: LabelLedger, horizon_us: int
    ) -> None:
        self._store, self._parts, self._streams, self.ledger = store, parts, streams, ledger
        self._horizon_us = horizon_us
        widths = [online.view.widths[-1] + online.view.hop_us for online in parts if online.view.stream == LABELS]
        self.keep_labels_us = max(widths, default=0) + horizon_us

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
                    done = len(newer) - len(self._store.write(online.twin, newer))
                    written, kept = written + done, kept + len(states) - done
                progress("materialise", i + 1, len(self._parts), online.view.name)
            self.ledger.remember(_recent_labels(labels, self.keep_labels_us), self.keep_labels_us)
            self._advance(newest(events, labels))
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
            for entity in dict.fromkeys(online.view.entity for online in self._parts):
                for view, rows in self.changed(entity, events, labels).rows:
                    if self._store.write(view, rows):
                        raise FencedError("an updater that follows a stream writes this state", "leave it to that one")
            if labels is not None and labels.height:
                self.ledger.remember(labels, self.keep_labels_us)
            self._advance(newest(events, labels) | (dict.fromkeys((EVENTS, LABELS), until_us) if until_us else {}))

    def changed(self, entity: str, events: pl.DataFrame | None, labels: pl.DataFrame | None) -> Changed:
        """The rows that new events and labels make of the states of an entity's keys. Nothing is written.

        Raises:
            FeatureError: the tables lack a column, or the store does not answer.
        """
        asked: list[tuple[Online, dict[str, tiles.Entries]]] = []
        for online in self._parts:
            table = labels if online.view.stream == LABELS else events
            if online.view.entity == entity and table is not None and table.height:
                before = self.ledger.before(entity, table) if online.view.stream == LABELS else None
                asked.append((online, batches_of(online.view, table, before)))
        stored = self._store.read_all([(online.twin, list(batches)) for online, batches in asked])
        changed = Changed()
        for online, batches in asked:
            found = dict(zip(batches, stored.read(online.twin, list(batches)), strict=True))
            rows, counted = self._rows(online, batches, found)
            changed.rows.append((online.twin, rows))
            changed.counted[online.view.stream] = counted.most(changed.counted.get(online.view.stream))
        return changed

    def reached(self, newest: dict[str, int]) -> None:
        """Note up to which instant (µs since 1970) streams were applied; never backwards."""
        self._advance(newest)

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

    def _rows(
        self, online: Online, batches: dict[str, tiles.Entries], found: dict[str, Found]
    ) -> tuple[dict[str, Row], tiles.Counted]:
        rows, counted = {}, tiles.Counted()
        for key, batch in batches.items():
            row = found[key]
            old = tiles.empty(online.view) if row is None else tiles.from_arrays(online.view, state_arrays(row))
            new, how = tiles.apply_counting(online.view, old, batch, horizon_us=self._horizon_us)
            counted = counted + how
            if new is not old:
                version = next_version(0 if row is None else row[VERSION].int64_val, new.arrival)
                rows[key] = _row(new, version, row)
        return rows, counted

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
                rows[key] = _row(state, next_version(0, state.arrival), None)
            elif found["arrival"].int64_val <= state.arrival:
                rows[key] = _row(state, next_version(found[VERSION].int64_val, state.arrival), found)
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
                rows[stream] = Row({TIME: time, VERSION: version}, version, order=time)
        self._store.write(self._streams, rows)


def _row(state: tiles.TileState, version: int, found: Found) -> Row:
    return Row({**tiles.to_arrays(state), VERSION: version}, version, NOTHING if found is None else found)


def newest(events: pl.DataFrame | None, labels: pl.DataFrame | None) -> dict[str, int]:
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
