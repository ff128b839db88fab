"""Windows over history: one pass per entity that answers every question as it would have been answered then.

Entries and questions are grouped by key with a counting sort. A key whose entries were all known at their own time
takes prefix sums between two positions; a key with late entries or corrections takes a tree per sum, which entries
join in the order of their arrival. Sums are integers, so the way does not show in the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import polars as pl

from sluice.errors import FeatureError
from sluice.windows import kernels
from sluice.windows.definition import WindowView
from sluice.windows.finish import NULL, contributions, finish
from sluice.windows.kernels import Places, Shape, Side
from sluice.windows.stream import value_name


def sweep(view: WindowView, entries: pl.DataFrame, questions: pl.DataFrame, *, threads: int = 0) -> pl.DataFrame:
    """The features of every question.

    Args:
        entries: what `entries_of(view, …)` gave.
        questions: key String, time Int64 (microseconds since 1970, UTC), optional arrival Int64 (as-of; default
            time) and event_id String (null or no column: everything up to and including time).
        threads: how many shares of the keys are worked on at once; 0: one a core.

    Returns:
        Float64 columns named by the view's aggregations, rows in the questions' order; null where a mean, a
        deviation, an extreme or the time since last is of an empty window.

    Raises:
        FeatureError: a value too large to be summed exactly, or a retraction where extremes are asked for.
    """
    answers = sweep_array(view, entries, questions, threads=threads)
    names = [a.name for a in view.aggregations]
    return pl.DataFrame(dict(zip(names, answers, strict=True))).fill_nan(None)


def sweep_array(view: WindowView, entries: pl.DataFrame, questions: pl.DataFrame, *, threads: int = 0) -> np.ndarray:
    """`sweep` without the frame: float64 [aggregations x questions], NaN for null."""
    added = entry_stats(view, entries)
    past, asked = _sides(view, entries, questions)
    keys = past.start.shape[0] - 1
    at = _places(past, asked, entries, questions, keys)
    late = _late_keys(past, asked, keys)
    out = np.empty((len(view.stats), len(view.widths), questions.height), dtype=np.int64)

    def work(low: int, high: int) -> None:
        kernels.by_time(_shape(view), past, added, asked, at, late, out, low, high)
        if late[low:high].any():
            kernels.by_arrival(_shape(view), past, added, asked, at, late, out, low, high)

    _share(work, past.start + asked.start, threads or len(os.sched_getaffinity(0)))
    return finish(view, out, questions.get_column("time").to_numpy())


def _shape(view: WindowView) -> Shape:
    maxima = len(view.stats) - view.additive - view.minima - view.lasts
    return Shape(view.additive, view.minima, maxima, view.lasts, view.hop_us, np.array(view.widths, dtype=np.int64))


def entry_stats(view: WindowView, entries: pl.DataFrame) -> np.ndarray:
    """What each entry adds to `view.stats`: int64 [stats x entries].

    Raises:
        FeatureError: a value too large to be summed exactly, or a retraction where extremes are asked for.
    """
    sign = entries.get_column("sign").cast(pl.Int64).to_numpy()
    if view.additive < len(view.stats) and sign.size and sign.min() < 0:
        raise FeatureError(
            f"windows of {view.name}: a minimum, maximum or last time cannot be taken back, and there are retractions",
            "use count, sum, mean or std over a stream with corrections",
        )
    values = np.empty((len(view.columns), entries.height), dtype=np.int64)
    for i, column in enumerate(view.columns):
        values[i] = entries.get_column(value_name(column)).fill_null(NULL).to_numpy()
    return contributions(view, entries.get_column("time").to_numpy(), sign, values)


def _sides(view: WindowView, entries: pl.DataFrame, questions: pl.DataFrame) -> tuple[Side, Side]:
    e_code, q_code = codes(entries.get_column("key"), questions.get_column("key"))
    keys = int(max(e_code.max(initial=-1), q_code.max(initial=-1))) + 2
    # Questions without a key stand in a last group that no entry is in.
    if q_code.min(initial=0) < 0:
        q_code = np.where(q_code < 0, keys - 1, q_code)
    if view.stream == "labels" or "event_id" not in questions.columns:
        # Labels up to and including an instant come before the events of that instant.
        e_id, q_id = np.zeros(entries.height, dtype=np.int64), np.full(questions.height, -1)
    else:
        e_id, q_id = _identities(entries.get_column("event_id"), questions.get_column("event_id"))
    past = _side(entries, e_code, e_id, keys, ["event_id", "sign"] if view.stream == "events" else [])
    clock = ["time", "arrival"]
    if e_id is q_id and e_code is q_code and clock[-1] in questions.columns and entries[clock].equals(questions[clock]):
        return past, past
    return past, _side(questions, q_code, q_id, keys, [])


def _identities(left: pl.Series, right: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that agree where ids do. Where the events ask about themselves a row's number is enough: an id that
    stood twice at one instant of a key is among several entries there, and those are told apart by their ids."""
    if left.null_count() == 0 and left.equals(right):
        rows = np.arange(left.len())
        return rows, rows
    return codes(left, right)


def codes(left: pl.Series, right: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Equal strings of two columns as equal numbers from 0, int64; -1 for null."""
    same = left.equals(right)
    both = left if same else pl.concat([left, right])
    codes = both.cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    return (codes, codes) if same else (codes[: left.len()], codes[left.len() :])


def _side(table: pl.DataFrame, code: np.ndarray, identity: np.ndarray, keys: int, tie: list[str]) -> Side:
    time = table.get_column("time").to_numpy()
    arrival = table.get_column("arrival").to_numpy() if "arrival" in table.columns else time
    rows = np.arange(table.height)
    if np.array_equal(arrival, time) and bool(np.all(time[1:] >= time[:-1])):
        start, row = kernels.group(code, rows, keys)
        known = rows
    else:
        by_time = table.select(pl.arg_sort_by("time", *tie, maintain_order=True)).to_series().cast(pl.Int64).to_numpy()
        start, row = kernels.group(code, by_time, keys)
        place = np.empty_like(row)
        place[row] = rows
        known = place[kernels.group(code, np.argsort(arrival, kind="stable"), keys)[1]]
    grouped = time[row]
    return Side(start, row, grouped, grouped if known is rows else arrival[row], known, identity[row])


def _places(past: Side, asked: Side, entries: pl.DataFrame, questions: pl.DataFrame, keys: int) -> Places:
    at = Places(*(np.empty(questions.height, dtype=np.int64) for _ in range(3)))
    kernels.place(past, asked, at, 0, keys)
    ties = np.flatnonzero(at.upto == kernels.UNRESOLVED)
    if ties.size:
        tied = np.zeros(entries.height + 1, dtype=np.int64)
        np.add.at(tied, at.below[ties], 1)
        np.add.at(tied, at.strict[ties], -1)
        among = np.flatnonzero(np.cumsum(tied)[:-1])
        ids = [
            entries.get_column("event_id").gather(past.row[among]),
            questions.get_column("event_id").gather(asked.row[ties]),
        ]
        rank = pl.concat(ids).rank("dense").cast(pl.Int64).to_numpy()
        past_rank, asked_rank = np.zeros(entries.height, np.int64), np.zeros(questions.height, np.int64)
        past_rank[among], asked_rank[ties] = rank[: among.size], rank[among.size :]
        kernels.resolve(ties, at, past_rank, asked_rank)
    return at


def _late_keys(past: Side, asked: Side, keys: int) -> np.ndarray:
    """Keys with an entry that was known after its time, or a question as of before its time: bool [keys]."""
    late = np.zeros(keys, dtype=np.bool_)
    for side, misplaced in ((past, past.arrival > past.time), (asked, asked.arrival < asked.time)):
        late[np.searchsorted(side.start, np.flatnonzero(misplaced), side="right") - 1] = True
    return late


def _share(work: Callable[[int, int], None], start: np.ndarray, threads: int) -> None:
    """Run `work(low, high)` over all keys, in shares of about equally many rows."""
    bounds = np.searchsorted(start, np.linspace(0, start[-1], threads + 1))
    bounds[0], bounds[-1] = 0, start.shape[0] - 1
    shares = [(int(a), int(b)) for a, b in pairwise(bounds) if b > a]
    with ThreadPoolExecutor(max(len(shares), 1)) as pool:
        for done in [pool.submit(work, *share) for share in shares]:
            done.result()
