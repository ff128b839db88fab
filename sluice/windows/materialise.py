"""Tile states of all keys from history at once: the same states that applying the entries one by one gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from sluice.errors import FeatureError
from sluice.windows.definition import WindowView
from sluice.windows.finish import NULL
from sluice.windows.state import Entries, TileState, fold
from sluice.windows.stream import value_name
from sluice.windows.sweep import codes, entry_stats

_Slices = Callable[[int], tuple[Any, Any]]


def entries_by_key(view: WindowView, entries: pl.DataFrame) -> Iterator[tuple[str, Entries]]:
    """Each key with its entries in their order, as `tiles.apply` takes them. Keys in the order of first appearance."""
    for (key,), part in entries.group_by("key", maintain_order=True):
        values = [part.get_column(value_name(column)).fill_null(NULL).to_numpy() for column in view.columns]
        yield (
            str(key),
            Entries(
                part.get_column("event_id").to_list(),
                part.get_column("time").to_numpy(),
                part.get_column("arrival").to_numpy(),
                part.get_column("sign").cast(pl.Int64).to_numpy(),
                np.array(values),
            ),
        )


def build_states(view: WindowView, entries: pl.DataFrame, *, horizon_us: int) -> dict[str, TileState]:
    """The state of every key after all entries, equal to `tiles.apply` over them in their order.

    Args:
        entries: what `entries_of(view, …)` gave, hence in the order of arrival, each event id once.

    Raises:
        FeatureError: entries out of order, or a value too large to be summed exactly.
    """
    if not entries.get_column("arrival").is_sorted():
        raise FeatureError(
            f"windows of {view.name}: entries are not in the order of arrival", "take them of entries_of"
        )
    code = codes(entries.get_column("key"), entries.get_column("key"))[0]
    table = entries.select("key", "time", "arrival", "event_id", "sign", code=code).with_row_index("row")
    table = table.with_columns(
        pl.col("time").max().over("code").alias("newest"), pl.col("arrival").max().over("code").alias("newest_arrival")
    )
    heads = table.unique("code").sort("code").select("key", "newest", "newest_arrival")
    unseen = (pl.col("newest") - view.widths[-1] - horizon_us) // view.hop_us
    table = table.with_columns(tile=pl.col("time") // view.hop_us).filter(pl.col("tile") > unseen)
    old = pl.col("arrival") <= pl.col("newest_arrival") - horizon_us
    added = entry_stats(view, entries)
    tiles = _tiles(view, added, table.filter(old).sort("code", "tile"), heads.height)
    recent = _recent(added, table.filter(~old).sort("code", "time", "event_id", "sign"), heads.height)
    return {
        key: TileState(*tiles(k), *recent(k), newest, newest_arrival)
        for k, (key, newest, newest_arrival) in enumerate(heads.iter_rows())
    }


def _tiles(view: WindowView, added: np.ndarray, old: pl.DataFrame, keys: int) -> _Slices:
    code, tile = old.get_column("code").to_numpy(), old.get_column("tile").to_numpy()
    run = np.cumsum(np.diff(tile, prepend=tile[:1]).astype(bool) | np.diff(code, prepend=code[:1]).astype(bool))
    first, stats = fold(view, run, added[:, old.get_column("row").to_numpy()])
    begins = np.searchsorted(run, first)
    index, bounds = tile[begins], np.searchsorted(code[begins], np.arange(keys + 1))
    return lambda k: (index[bounds[k] : bounds[k + 1]], stats[:, bounds[k] : bounds[k + 1]])


def _recent(added: np.ndarray, young: pl.DataFrame, keys: int) -> _Slices:
    heads = [young.get_column(name).cast(pl.Int64).to_numpy()[None] for name in ("time", "arrival", "sign")]
    rows = np.concatenate((*heads, added[:, young.get_column("row").to_numpy()]))
    ids = young.get_column("event_id").to_list()
    bounds = np.searchsorted(young.get_column("code").to_numpy(), np.arange(keys + 1))
    return lambda k: (rows[:, bounds[k] : bounds[k + 1]], tuple(ids[bounds[k] : bounds[k + 1]]))
