"""The state that is kept of one entity's stream, and its form for a store: NumPy arrays and two integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sluice.windows.definition import WindowView
from sluice.windows.finish import NO_MINIMUM, NULL

TIME, ARRIVAL, SIGN, STATS = 0, 1, 2, 3
"""Rows of `TileState.recent`: an entry's time, arrival and sign, and from `STATS` on what it adds."""


@dataclass(frozen=True)
class Entries:
    """Entries of one key. time, arrival, sign int64 [n]; values int64 [columns x n], `finish.NULL` where missing."""

    event_ids: Sequence[str]
    time: np.ndarray
    arrival: np.ndarray
    sign: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class TileState:
    """What is kept of one key's stream.

    tile_index: int64 [tiles] ascending, index of each tile that holds folded entries.
    tile_stats: int64 [stats x tiles], in the order of the view's `stats`.
    recent: int64 [3 + stats x entries], recent entries in the order (time, id, sign).
    recent_ids: their event ids.
    time, arrival: the largest of all entries applied, microseconds since 1970; `finish.NULL` when none was.
    """

    tile_index: np.ndarray
    tile_stats: np.ndarray
    recent: np.ndarray
    recent_ids: tuple[str, ...]
    time: int
    arrival: int


def empty(view: WindowView) -> TileState:
    """The state of a key that was never seen."""
    stats = len(view.stats)
    none = np.empty(0, dtype=np.int64)
    return TileState(none, none.reshape(stats, 0), none.reshape(STATS + stats, 0), (), NULL, NULL)


def to_arrays(state: TileState) -> dict[str, np.ndarray | int]:
    """The state as flat arrays (int64; ids as strings) and two integers, to be stored by name."""
    return {
        "tile_index": state.tile_index,
        "tile_stats": state.tile_stats.ravel(),
        "recent": state.recent.ravel(),
        "recent_ids": np.array(state.recent_ids, dtype=np.str_),
        "time": state.time,
        "arrival": state.arrival,
    }


def from_arrays(view: WindowView, arrays: Mapping[str, Sequence[int] | Sequence[str] | np.ndarray | int]) -> TileState:
    """Inverse of `to_arrays`; lists will do for arrays."""
    stats, ids = len(view.stats), arrays["recent_ids"]
    index, flat, recent = (np.asarray(arrays[name], dtype=np.int64) for name in ("tile_index", "tile_stats", "recent"))
    return TileState(
        index,
        flat.reshape(stats, index.shape[0]),
        recent.reshape(STATS + stats, -1 if recent.size else 0),
        tuple(ids.tolist() if isinstance(ids, np.ndarray) else ids),  # type: ignore[arg-type]
        int(arrays["time"]),  # type: ignore[arg-type]
        int(arrays["arrival"]),  # type: ignore[arg-type]
    )


def fold(view: WindowView, tile: np.ndarray, added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum what falls into the same tile: index int64 [entries] ascending and stats int64 [stats x entries] become
    distinct indices [tiles] and their stats [stats x tiles]."""
    if tile.shape[0] == 0:
        return tile, added
    first = np.flatnonzero(np.concatenate(([True], tile[1:] != tile[:-1])))
    out = np.empty((added.shape[0], first.shape[0]), dtype=np.int64)
    for rows, way, _ in ways(view):
        way.reduceat(added[rows], first, axis=1, out=out[rows])
    return tile[first], out


@lru_cache(maxsize=256)
def ways(view: WindowView) -> tuple[tuple[slice, np.ufunc, int], ...]:
    """Which rows of the statistics are joined in which way, and what nothing is."""
    extremes = view.additive + view.minima
    ways = (
        (slice(0, view.additive), np.add, 0),
        (slice(view.additive, extremes), np.minimum, NO_MINIMUM),
        (slice(extremes, len(view.stats)), np.maximum, NULL),
    )
    return tuple(way for way in ways if way[0].stop > way[0].start)
