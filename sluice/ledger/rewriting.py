"""Keep the ledger small: many files of a day into few, days that are too old away, a person's rows out.

Each is one switch of a partition's manifest (`visible`): killed at any point, readers see the old state or the new one,
and the next run takes away what was left lying.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from sluice import digests
from sluice.ledger.layout import Partition, partitions
from sluice.ledger.reading import read_partition
from sluice.ledger.tables import EVENT_KEY, REQUESTS, RESPONSES, decode, encode, once, together
from sluice.ledger.visible import REWRITTEN, View, switch, view
from sluice.settings.payloads import Payloads
from sluice.storage import Store

STRAY_FOR = timedelta(days=1)
"""A rewritten file that no manifest names may still be on its way there for this long."""


@dataclass(frozen=True)
class Compacted:
    """What became of the files that count: how many there were, how many there are, rows that went."""

    before: int
    after: int
    rows: int = 0

    def __add__(self, other: Compacted) -> Compacted:
        return Compacted(self.before + other.before, self.after + other.after, self.rows + other.rows)


def compact(store: Store, model: str, settings: Payloads, *, now: datetime) -> Compacted:
    """Write the small files of each partition together, up to `payloads.file_size` each; copies of an event go.

    Today's partitions are left for later while they have fewer than `payloads.compact_from` small files.

    Raises:
        ConflictError: another compaction runs.
        StoreError: the store does not answer.
    """
    done = Compacted(0, 0)
    for partition in partitions(store, model):
        seen = view(store, partition)
        sweep(store, seen, now)
        enough = settings.compact_from if partition.day >= now.date() else 2
        done += _compact(store, seen, settings.file_size, enough, now)
    return done


def expire(store: Store, model: str, keep: timedelta, *, now: datetime) -> list[Partition]:
    """Remove whole days that ended longer than `keep` ago, for good; returns them."""
    first = now - keep
    gone = [found for found in partitions(store, model) if found.day < first.astimezone(UTC).date()]
    for partition in gone:
        seen = view(store, partition)
        names = [key.rsplit("/", 1)[-1] for key in seen.files]
        if names:
            switch(store, seen, [], names)
            seen = view(store, partition)
        _remove(store, partition, sorted(seen.entries, key=lambda name: (name.startswith("m-"), name)))
    return gone


def forget_events(store: Store, model: str, event_ids: Collection[str], *, now: datetime) -> int:
    """Remove the answers about some events, and the requests that asked about nothing else; returns rows removed.

    A request about others too stays: it holds times and no more.
    """
    wanted = pl.col("event_id").is_in(list(event_ids)).fill_null(False)
    rows, asked, about = 0, pl.DataFrame(schema=dict.fromkeys(EVENT_KEY, pl.String)), []
    for partition in partitions(store, model, "responses"):
        found = read_partition(store, partition)
        if found.filter(wanted).height:
            about.append(partition)
            only = found.group_by(EVENT_KEY).agg(wanted.all().alias("only")).filter("only")
            asked = asked.vstack(only.select(EVENT_KEY))
    # Answers last: they say which requests go, if this is killed and run again.
    for partition in partitions(store, model, "requests") if asked.height else ():
        rows += _without(
            store, partition, lambda table: table.join(asked, on=EVENT_KEY, how="anti", nulls_equal=True), now
        )
    for partition in about:
        rows += _without(store, partition, lambda table: table.filter(~wanted), now)
    return rows


def sweep(store: Store, seen: View, now: datetime) -> None:
    """Remove what an interrupted run left: it counts no more."""
    names = seen.leftovers
    stray = {name for name in names if name.startswith(REWRITTEN) and name not in seen.replaced}
    young = {name for name in stray if now - seen.entries[name].modified < STRAY_FOR}
    _remove(store, seen.partition, [name for name in names if name not in young])


def _compact(store: Store, seen: View, size: int, enough: int, now: datetime) -> Compacted:
    small = [key for key in seen.files if _size(seen, key, size) < size]
    groups = [group for group in _groups(seen, small, size) if len(group) > 1]
    count = len(seen.files)
    if len(small) < enough or not groups:
        return Compacted(count, count)
    schema = _schema(seen.partition)
    written, copies = set(), 0
    for group in groups:
        tables = [decode(store.get(key), f"{store.url}/{key}") for key in group]
        table = once(together(tables, schema), schema)
        copies += sum(part.height for part in tables) - table.height
        written.add(_write(store, seen.partition, table))
    replaced = {_name(key) for group in groups for key in group}
    switch(store, seen, {*seen.rewritten} - replaced | written, replaced - written)
    sweep(store, view(store, seen.partition), now)
    return Compacted(count, count - len(replaced) + len(written), copies)


def _without(store: Store, partition: Partition, kept: Callable[[pl.DataFrame], pl.DataFrame], now: datetime) -> int:
    """Rewrite those files of a partition that hold rows which are not kept; returns how many rows went."""
    seen, schema = view(store, partition), _schema(partition)
    written, replaced, rows = set(), set(), 0
    for key in seen.files:
        table = together([decode(store.get(key), f"{store.url}/{key}")], schema)
        left = kept(table)
        if left.height == table.height:
            continue
        rows += table.height - left.height
        replaced.add(_name(key))
        if left.height:
            written.add(_write(store, partition, left))
    if replaced:
        switch(store, seen, {*seen.rewritten} - replaced | written, replaced - written)
        sweep(store, view(store, partition), now)
    return rows


def _groups(seen: View, keys: list[str], size: int) -> Iterator[list[str]]:
    """Files that fit into one together: never more than that is in memory."""
    group: list[str] = []
    total = 0
    for key in keys:
        length = _size(seen, key, size)
        if group and total + length > size:
            yield group
            group, total = [], 0
        group.append(key)
        total += length
    if group:
        yield group


def _write(store: Store, partition: Partition, table: pl.DataFrame) -> str:
    data = encode(table)
    name = f"{REWRITTEN}{digests.of_bytes(data)[:32]}.parquet"
    # Replaces equal bytes of an interrupted run, and makes them young.
    store.put(f"{partition.prefix}/{name}", data)
    return name


def _remove(store: Store, partition: Partition, names: list[str]) -> None:
    """For good: in a bucket with versions a removed row would live on."""
    for name in names:
        store.purge(f"{partition.prefix}/{name}")


def _size(seen: View, key: str, unknown: int) -> int:
    entry = seen.entries.get(_name(key))
    return unknown if entry is None else entry.size


def _name(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _schema(partition: Partition) -> pl.Schema:
    return REQUESTS if partition.kind == "requests" else RESPONSES
