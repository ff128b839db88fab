"""Windows at serving: what is kept of one entity's stream, updated by one entry, asked about one instant.

Old entries are kept as tile sums. Recent ones, those that became known within `horizon` of the newest, are kept one
by one: a repeated delivery is recognised, and a question that comes late still sees exactly what came before it.
NumPy and the standard library only, so that the server stays small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sluice.windows.definition import WindowView
from sluice.windows.finish import LARGEST_VALUE, NULL, contributions, finish, too_large
from sluice.windows.state import (
    ARRIVAL,
    SIGN,
    STATS,
    TIME,
    Entries,
    TileState,
    empty,
    fold,
    from_arrays,
    to_arrays,
    ways,
)  # fmt: skip

__all__ = [
    "Counted",
    "Entries",
    "Flags",
    "TileState",
    "answer",
    "apply",
    "apply_counting",
    "empty",
    "from_arrays",
    "to_arrays",
]

_ONE = np.ones(1, dtype=np.int64)


class Flags(NamedTuple):
    """ahead: state holds entries later than the question (or known later than its as-of). repeated: own event id
    was already in state, so it was not added again."""

    ahead: bool
    repeated: bool


class Counted(NamedTuple):
    """How entries were taken. taken: into state; late: of these, before the newest that state held; repeated: not
    taken, since state holds them; outdated: not taken, since they came too far behind to be told from repeats."""

    taken: int = 0
    late: int = 0
    repeated: int = 0
    outdated: int = 0

    def __add__(self, other: Counted) -> Counted:  # type: ignore[override]
        """Both together."""
        return Counted(*(a + b for a, b in zip(self, other, strict=True)))

    def most(self, other: Counted | None) -> Counted:
        """The larger of each: two views of one entity see the same entries."""
        return self if other is None else Counted(*map(max, self, other))


def apply(view: WindowView, state: TileState, batch: Entries, *, horizon_us: int) -> TileState:
    """The state after entries became known, in the order in which they are delivered.

    An entry whose id (over labels: id, sign and time) is among the recent ones is a repeat and ignored; so is one
    whose arrival lies `horizon_us` or more behind the newest, as it can no longer be told from a repeat. Hence
    deliveries may be repeated and shuffled within the horizon: the state comes out the same. A late entry lands in
    the tile of its own time. What no question less than `horizon_us` behind the newest entry can see is dropped.

    Raises:
        FeatureError: a value too large to be summed exactly.
    """
    return apply_counting(view, state, batch, horizon_us=horizon_us)[0]


def apply_counting(view: WindowView, state: TileState, batch: Entries, *, horizon_us: int) -> tuple[TileState, Counted]:
    """What `apply` gives, and how the entries were taken. Where none was, the state is the very one given."""
    taken, time, arrival, counted = _admit(view, state, batch, horizon_us)
    if not taken:
        return state, counted
    new = [batch.event_ids[i] for i in taken]
    recent, ids = _insert(state.recent, state.recent_ids, _rows(view, batch, taken), new)
    settled = _settle(view, TileState(state.tile_index, state.tile_stats, recent, ids, time, arrival), horizon_us)
    return settled, counted


def answer(
    view: WindowView,
    state: TileState,
    time_us: int,
    event_id: str | None,
    own: Mapping[str, int | None] | None,
    *,
    arrival_us: int | None = None,
) -> tuple[np.ndarray, Flags]:
    """The features at an instant.

    Args:
        time_us: the instant, microseconds since 1970.
        event_id: the event asked about; None: everything up to and including the instant is seen.
        own: the event's own values in whole units (None: missing), added when state does not hold its id. None for
            a view over labels, or a question that is no event.
        arrival_us: as-of: recent entries known later are not seen, but for the event asked about. None: all that
            state holds.

    Returns:
        float64 [aggregations], NaN for null; and the flags. Entries later than the question are left out one by one
        as long as they are recent; behind the horizon only whole tiles after the question's own are.

    Raises:
        FeatureError: an own value too large to be summed exactly.
    """
    if view.stream == "labels":
        event_id = None
    stats, later = _gather(view, state, time_us, event_id, arrival_us)
    repeated = event_id is not None and event_id in state.recent_ids
    ahead = later or state.time > time_us or (arrival_us is not None and state.arrival > arrival_us)
    if own is not None and not repeated:
        _add_own(view, stats, time_us, own)
    return finish(view, stats[:, :, None], np.array([time_us]))[:, 0], Flags(ahead, repeated)


def _admit(view: WindowView, state: TileState, batch: Entries, horizon_us: int) -> tuple[list[int], int, int, Counted]:
    """Which entries of a batch are new, the largest time and arrival with them, and what became of the others."""
    labels = view.stream == "labels"
    one_new = len(batch.event_ids) == 1 and batch.event_ids[0] not in state.recent_ids
    known = {} if one_new else _known(state, labels)
    taken, newest, newest_arrival, late, outdated = [], state.time, state.arrival, 0, 0
    times, arrivals, signs = batch.time.tolist(), batch.arrival.tolist(), batch.sign.tolist()
    for i, (event_id, time, arrival, sign) in enumerate(zip(batch.event_ids, times, arrivals, signs, strict=True)):
        remembered = newest_arrival - horizon_us
        identity = (event_id, sign, time if labels else 0)
        if arrival <= remembered or known.get(identity, remembered) > remembered:
            outdated += identity not in known
            continue
        known[identity] = arrival
        taken.append(i)
        late += time < newest
        newest, newest_arrival = max(newest, time), max(newest_arrival, arrival)
    repeated = len(times) - len(taken) - outdated
    return taken, newest, newest_arrival, Counted(len(taken), late, repeated, outdated)


def _known(state: TileState, labels: bool) -> dict[tuple[str, int, int], int]:
    time, arrival, sign = state.recent[:STATS].tolist()
    times = time if labels else [0] * len(time)
    return dict(zip(zip(state.recent_ids, sign, times, strict=True), arrival, strict=True))


def _rows(view: WindowView, batch: Entries, taken: list[int]) -> np.ndarray:
    time, sign = batch.time[taken], batch.sign[taken]
    added = contributions(view, time, sign, batch.values[:, taken])
    return np.concatenate((time[None], batch.arrival[taken][None], sign[None], added))


def _insert(
    recent: np.ndarray, ids: tuple[str, ...], rows: np.ndarray, new: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    both, names = np.concatenate((recent, rows), axis=1), (*ids, *new)
    if len(new) == 1 and (not ids or rows[TIME, 0] > recent[TIME, -1]):
        return both, names
    time, sign = both[TIME].tolist(), both[SIGN].tolist()
    order = sorted(range(len(names)), key=lambda i: (time[i], names[i], sign[i]))
    return both[:, order], tuple(names[i] for i in order)


def _settle(view: WindowView, state: TileState, horizon_us: int) -> TileState:
    """Fold what is no longer recent, drop what no question can see."""
    index, stats, recent, ids = state.tile_index, state.tile_stats, state.recent, state.recent_ids
    unseen = view.tile(state.time - view.widths[-1] - horizon_us)
    begin = int(recent[TIME].searchsorted((unseen + 1) * view.hop_us))
    if begin:
        recent, ids = recent[:, begin:], ids[begin:]
    old = recent[ARRIVAL] <= state.arrival - horizon_us
    if old.any():
        tile = np.concatenate((index, recent[TIME, old] // view.hop_us))
        order = tile.argsort(kind="stable")
        index, stats = fold(view, tile[order], np.concatenate((stats, recent[STATS:, old]), axis=1)[:, order])
        recent, ids = recent[:, ~old], tuple(name for name, gone in zip(ids, old.tolist(), strict=True) if not gone)
    begin = int(index.searchsorted(unseen, side="right"))
    if begin:
        index, stats = index[begin:], stats[:, begin:]
    return TileState(index, stats, recent, ids, state.time, state.arrival)


def _gather(
    view: WindowView, state: TileState, time_us: int, event_id: str | None, arrival_us: int | None
) -> tuple[np.ndarray, bool]:
    """What the windows of a question hold, int64 [stats x widths], and whether recent entries come after it."""
    time, ids = state.recent[TIME], state.recent_ids
    upto = int(time.searchsorted(time_us, side="right"))
    while event_id is not None and upto and ids[upto - 1] > event_id and time[upto - 1] == time_us:
        upto -= 1
    later = upto < len(ids)
    time, added = time[:upto], state.recent[STATS:, :upto]
    is_own = event_id is not None and upto > 0 and ids[upto - 1] == event_id and time[-1] == time_us
    if view.lasts and is_own:
        added = added.copy()
        added[-view.lasts :, -1] = NULL
    if arrival_us is not None:
        visible = state.recent[ARRIVAL, :upto] <= arrival_us
        if is_own:
            # What is being scored counts, also in a question as of before it was delivered.
            visible[-1] = True
        time, added = time[visible], added[:, visible]
    out = np.empty((len(view.stats), len(view.widths)), dtype=np.int64)
    since = [view.start(time_us, width) for width in view.widths]
    begins = state.tile_index.searchsorted([start // view.hop_us for start in since]).tolist()
    end = int(state.tile_index.searchsorted(view.tile(time_us), side="right"))
    for w, (tile, entry) in enumerate(zip(begins, time.searchsorted(since).tolist(), strict=True)):
        both = np.concatenate((state.tile_stats[:, tile:end], added[:, entry:]), axis=1)
        for rows, way, nothing in ways(view):
            way.reduce(both[rows], axis=1, initial=nothing, out=out[rows, w])
    return out, later


def _add_own(view: WindowView, stats: np.ndarray, time_us: int, own: Mapping[str, int | None]) -> None:
    """Count the event asked about in every window, in place; it is not its own predecessor."""
    values = []
    for column in view.columns:
        value = own.get(column)
        if value is not None and abs(value) > LARGEST_VALUE:
            raise too_large(view, column, value)
        values.append([NULL if value is None else value])
    added = contributions(view, np.array([time_us]), _ONE, np.array(values, dtype=np.int64))
    if view.lasts:
        added[-view.lasts :] = NULL
    for rows, way, _ in ways(view):
        way(stats[rows], added[rows], out=stats[rows])
