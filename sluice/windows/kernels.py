"""The loops of the sweep, compiled by Numba: plain arrays in, integers out.

Everything is grouped by key: `start[k]:start[k + 1]` are the rows of key k, in the order of time. Sums may wrap
around on the way, as a difference of two prefix sums is exact modulo 2**64. The loops release the interpreter lock,
so keys can be worked on by several threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sluice.windows.trees import compiled, extreme, join, nothing, plant, total

UNRESOLVED = -1
"""Position of a question whose instant is shared by entries of other ids: their order is told by the ids."""


class Side(NamedTuple):
    """Entries or questions grouped by key, in the order of time within a key. All int64 [rows] but `start` [keys + 1].

    `row` says where each stood in its table; `known` lists the places of a key in the order of arrival; `identity`
    is the event id as a number, negative for none.
    """

    start: np.ndarray
    row: np.ndarray
    time: np.ndarray
    arrival: np.ndarray
    known: np.ndarray
    identity: np.ndarray


class Places(NamedTuple):
    """Where each question stands among its key's entries: int64 [questions] each.

    below: the first entry of its instant. upto: behind the last that comes not after it in the order (time, id), or
    `UNRESOLVED`, and then strict is behind the last of its instant. strict: upto without the event
    asked about, which stands last.
    """

    below: np.ndarray
    upto: np.ndarray
    strict: np.ndarray


class Shape(NamedTuple):
    """How many statistics of each kind, in their order, the hop in microseconds, and the widths int64 [widths]."""

    sums: int
    minima: int
    maxima: int
    lasts: int
    hop: int
    widths: np.ndarray


@compiled
def group(codes: np.ndarray, order: np.ndarray, keys: int) -> tuple[np.ndarray, np.ndarray]:
    """Counting sort: (start int64 [keys + 1], row int64 [rows]); within a key rows stand as `order` lists them."""
    start = np.zeros(keys + 1, dtype=np.int64)
    for i in range(codes.shape[0]):
        start[codes[i] + 1] += 1
    for k in range(keys):
        start[k + 1] += start[k]
    free = start[:-1].copy()
    row = np.empty(codes.shape[0], dtype=np.int64)
    for i in order:
        row[free[codes[i]]] = i
        free[codes[i]] += 1
    return start, row


@compiled
def place(past: Side, asked: Side, at: Places, low: int, high: int) -> None:
    """Find the questions of keys low..high. One without an id sees everything up to and including its instant."""
    for k in range(low, high):
        end = past.start[k + 1]
        before = after = past.start[k]
        for q in range(asked.start[k], asked.start[k + 1]):
            while before < end and past.time[before] < asked.time[q]:
                before += 1
            after = max(after, before)
            while after < end and past.time[after] == asked.time[q]:
                after += 1
            at.below[q] = before
            at.upto[q] = after
            at.strict[q] = after
            if asked.identity[q] >= 0 and after > before:
                if after == before + 1 and past.identity[before] == asked.identity[q]:
                    at.strict[q] = before
                else:
                    at.upto[q] = UNRESOLVED


@compiled
def resolve(ties: np.ndarray, at: Places, past_rank: np.ndarray, asked_rank: np.ndarray) -> None:
    """Settle the questions `ties`: entries of their instant whose id's rank is not above theirs come first."""
    for q in ties:
        position = at.below[q]
        own = 0
        for e in range(at.below[q], at.strict[q]):
            if past_rank[e] <= asked_rank[q]:
                position += 1
                own += past_rank[e] == asked_rank[q]
        at.upto[q] = position
        at.strict[q] = position - own


@compiled
def by_time(
    shape: Shape, past: Side, added: np.ndarray, asked: Side, at: Places, late: np.ndarray, out: np.ndarray,
    low: int, high: int,
) -> None:  # fmt: skip
    """Keys that are not late: sums are differences of prefix sums, extremes come from a tree.

    added: int64 [statistics x entries], out: int64 [statistics x widths x questions], both in their tables' order.
    """
    sums, falling = shape.sums, shape.sums + shape.minima
    lasts = falling + shape.maxima
    stats = lasts + shape.lasts
    longest = 0
    for k in range(low, high):
        longest = max(longest, past.start[k + 1] - past.start[k])
    prefix = np.zeros((sums, longest + 1), dtype=np.int64)
    tree = np.empty((stats - sums, 2 * longest), dtype=np.int64)
    left = np.empty(shape.widths.shape[0], dtype=np.int64)
    for k in range(low, high):
        first, n = past.start[k], past.start[k + 1] - past.start[k]
        if late[k] or asked.start[k] == asked.start[k + 1]:
            continue
        for s in range(sums):
            for i in range(n):
                prefix[s, i + 1] = prefix[s, i] + added[s, past.row[first + i]]
        for s in range(sums, stats):
            plant(tree[s - sums], added[s][past.row[first : first + n]], s < falling)
        left[:] = 0
        for q in range(asked.start[k], asked.start[k + 1]):
            for w in range(left.shape[0]):
                since = ((asked.time[q] - shape.widths[w]) // shape.hop + 1) * shape.hop
                while left[w] < n and past.time[first + left[w]] < since:
                    left[w] += 1
                right = at.upto[q] - first
                for s in range(sums):
                    out[s, w, asked.row[q]] = prefix[s, right] - prefix[s, left[w]]
                for s in range(sums, stats):
                    stop = at.strict[q] - first if s >= lasts else right
                    out[s, w, asked.row[q]] = extreme(tree[s - sums], n, left[w], stop, s < falling)


@compiled
def by_arrival(
    shape: Shape, past: Side, added: np.ndarray, asked: Side, at: Places, late: np.ndarray, out: np.ndarray,
    low: int, high: int,
) -> None:  # fmt: skip
    """Late keys: entries join trees in the order of their arrival, and questions are asked in the order of theirs."""
    sums, falling = shape.sums, shape.sums + shape.minima
    lasts = falling + shape.maxima
    stats = lasts + shape.lasts
    for k in range(low, high):
        if not late[k]:
            continue
        first, n = past.start[k], past.start[k + 1] - past.start[k]
        tree = np.empty((stats, 2 * n), dtype=np.int64)
        for s in range(stats):
            tree[s] = 0 if s < sums else nothing(s < falling)
        joined = 0
        for q in asked.known[asked.start[k] : asked.start[k + 1]]:
            while joined < n and past.arrival[past.known[first + joined]] <= asked.arrival[q]:
                e = past.known[first + joined]
                for s in range(stats):
                    join(tree[s], n + e - first, added[s, past.row[e]], s < sums, s < falling)
                joined += 1
            for w in range(shape.widths.shape[0]):
                since = ((asked.time[q] - shape.widths[w]) // shape.hop + 1) * shape.hop
                left = np.searchsorted(past.time[first : first + n], since)
                right = at.upto[q] - first
                for s in range(sums):
                    out[s, w, asked.row[q]] = total(tree[s], n, left, right)
                for s in range(sums, stats):
                    stop = at.strict[q] - first if s >= lasts else right
                    out[s, w, asked.row[q]] = extreme(tree[s], n, left, stop, s < falling)
            add_own(shape, past, added, asked, at, out, q)


@compiled
def add_own(
    shape: Shape, past: Side, added: np.ndarray, asked: Side, at: Places, out: np.ndarray, q: int
) -> None:  # fmt: skip
    """The event asked about counts in each of its windows although it had not arrived yet."""
    falling, lasts = shape.sums + shape.minima, shape.sums + shape.minima + shape.maxima
    for e in range(at.strict[q], at.upto[q]):
        if past.arrival[e] <= asked.arrival[q]:
            continue
        for s in range(lasts):
            value = added[s, past.row[e]]
            for w in range(shape.widths.shape[0]):
                seen = out[s, w, asked.row[q]]
                if s < shape.sums:
                    out[s, w, asked.row[q]] = seen + value
                else:
                    out[s, w, asked.row[q]] = min(seen, value) if s < falling else max(seen, value)
