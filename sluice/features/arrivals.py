"""New rows of a stream as tile state takes them: `entries_of` for many rows, the same by hand for a few.

An updater that applies each event as it comes would spend its time in the table engine's fixed costs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from sluice.windows.definition import WindowView
from sluice.windows.finish import NULL
from sluice.windows.stream import entries_of, value_name
from sluice.windows.tiles import Entries

_FEW = 64


def batches_of(view: WindowView, table: pl.DataFrame, before: pl.DataFrame | None = None) -> dict[str, Entries]:
    """The entries of a view's stream by key, each in the order in which they became known.

    Args:
        table: events, or the label stream.
        before: labels applied earlier for the same events, which the new ones take back.
    """
    if before is None and table.height <= _FEW:
        few = _few(view, table)
        if few is not None:
            return few
    return dict(by_key(view, entries_of(view, table, table, before)))


def by_key(view: WindowView, entries: pl.DataFrame) -> Iterator[tuple[str, Entries]]:
    """Entries key by key, in the order in which they became known."""
    if not entries.height:
        return
    entries = entries.sort("key", maintain_order=True)
    ids = entries.get_column("event_id").to_list()
    time, arrival, sign = (entries.get_column(n).cast(pl.Int64).to_numpy() for n in ("time", "arrival", "sign"))
    columns = [entries.get_column(value_name(c)).fill_null(NULL).to_numpy() for c in view.columns]
    values = np.stack(columns)
    keys = entries.get_column("key").rle().struct
    start = 0
    for length, key in zip(keys.field("len").to_list(), keys.field("value").to_list(), strict=True):
        cut = slice(start, start + length)
        yield key, Entries(ids[cut], time[cut], arrival[cut], sign[cut], values[:, cut])
        start += length


def instants(series: pl.Series) -> np.ndarray:
    """Instants as int64 [n], microseconds since 1970, without a query."""
    return np.asarray(series.to_numpy().astype("datetime64[us]").astype(np.int64))


def _few(view: WindowView, table: pl.DataFrame) -> dict[str, Entries] | None:
    """The same as `entries_of`; None where only that can say (corrections, missing columns, fractions)."""
    time_column, arrival_column = ("event_time", "arrival") if view.stream == "events" else ("label_time",) * 2
    if not {view.entity, "event_id", time_column, *view.columns} <= set(table.columns):
        return None
    ids = table.get_column("event_id").to_list()
    if view.stream == "labels" and len(set(ids)) < len(ids):
        return None
    columns = [_units(view, name, table.get_column(name).to_list()) for name in view.columns]
    time = instants(table.get_column(time_column)).tolist()
    arrival = instants(table.get_column(arrival_column)).tolist() if arrival_column in table.columns else time
    grouped: dict[str, list[int]] = {}
    keys = table.get_column(view.entity).to_list()
    for i in sorted(range(len(ids)), key=lambda i: (arrival[i], time[i], ids[i])):
        if keys[i] is not None:
            grouped.setdefault(keys[i], []).append(i)
    if any(column is None for column in columns):
        return None
    values = np.array(columns, dtype=np.int64)
    clock, known, sign = np.array([time, arrival, [1] * len(ids)], dtype=np.int64)
    return {
        key: Entries([ids[i] for i in at], clock[at], known[at], sign[at], values[:, at]) for key, at in grouped.items()
    }


def _units(view: WindowView, name: str, given: list[object]) -> list[int] | None:
    if name not in view.numeric_columns:
        return [NULL if value is None else 1 for value in given]
    if not all(value is None or (isinstance(value, int | float) and value == value // 1) for value in given):
        return None
    return [NULL if value is None else int(value) for value in given]  # type: ignore[call-overload]
