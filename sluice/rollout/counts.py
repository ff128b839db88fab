"""What was seen of a version's answers: cumulative counts, whose differences are what happened in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

EDGES = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds at which answer times are counted: the buckets of the servers' own histogram."""
DECILES = tuple(k / 10 for k in range(1, 10))
"""The levels of a version's usual scores at which its scores are counted."""


@dataclass(frozen=True)
class Counts:
    """Counts of one version since it started.

    Attributes:
        requests: answered or failed.
        errors: of these, failed ones (5xx, or no answer).
        within: of these, answered within each of `EDGES` seconds.
        scored: rows with a score.
        levels: rows with a score at or below each decile of the scores that this version's gate saw: what is a decile
            there is one here while nothing has moved.
    """

    requests: int = 0
    errors: int = 0
    within: tuple[int, ...] = ()
    scored: int = 0
    levels: tuple[int, ...] = ()

    def since(self, earlier: Counts) -> Counts:
        """What came after `earlier`. A server that restarted counts from nothing: then all of it did."""
        if self.requests < earlier.requests:
            return self
        numbers = {name: getattr(self, name) - getattr(earlier, name) for name in _NUMBERS}
        return Counts(**numbers, within=_less(self.within, earlier.within), levels=_less(self.levels, earlier.levels))

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        numbers = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return Counts(**numbers, within=_more(self.within, other.within), levels=_more(self.levels, other.levels))

    def slower_than(self, edge: float) -> int:
        """Requests that were not answered within one of `EDGES`."""
        return self.requests - self.within[EDGES.index(edge)] if self.within else 0


class Observer(Protocol):
    """Where counts come from: a front on one machine, the servers' metrics on a cluster, a simulation in tests."""

    def counts(self, version: str) -> Counts:
        """The cumulative counts of a version.

        Raises:
            SluiceError: they cannot be read.
        """


_NUMBERS = ("requests", "errors", "scored")


def _less(now: tuple[int, ...], then: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(now, then, strict=True)) if then else now


def _more(some: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(some, others, strict=True)) if some and others else some or others
