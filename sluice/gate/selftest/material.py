"""What a self-test is made from: the current challenger, its ladder, and labelled rows that are not the sealed test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.features.schema import FeatureSchema
from sluice.settings import UseCase
from sluice.windows.definition import WindowView

MatrixOf = Callable[[pl.DataFrame], np.ndarray]
"""Rows of the events table to the matrix that production would have scored, float32 [n, d]."""
LookUp = Callable[[FeatureSchema, pl.DataFrame, pl.DataFrame], MatrixOf]
"""Schema, and the events and labels that the online state has seen, to its look-up."""


@dataclass(frozen=True)
class Trained:
    """A trained graph: its name, bytes, schema, and the hashes of the rows it was trained on."""

    name: str
    model: bytes
    schema: FeatureSchema
    train_rows: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Material:
    """All a self-test needs.

    Args:
        current: the challenger that the broken ones are made of.
        ladder: the rungs below it, simplest first.
        rows: labelled validation rows; a seal of its own is cut from them, the sealed test is never touched.
        views, joined: as in `Case`.
        look_up: features by the way of production; asked once for the sound state and once for a stale one.
    """

    use_case: UseCase
    current: Trained
    ladder: Sequence[Trained]
    rows: pl.DataFrame
    events: pl.DataFrame
    labels: pl.DataFrame
    views: Sequence[WindowView]
    look_up: LookUp
    seed: int
    joined: Sequence[str] = ()


class CountedOpenings:
    """Openings kept in memory, for seals that are nobody's test."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def openings(self, seal_digest: str) -> int:
        """Openings so far."""
        return self._count.get(seal_digest, 0)

    def record_opening(self, seal_digest: str, *, version: str | None = None, limit: int | None = None) -> None:  # noqa: ARG002
        """Count one more."""
        self._count[seal_digest] = self.openings(seal_digest) + 1


def steady_clock(step: float) -> Callable[[], float]:
    """A clock that is `step` seconds later whenever it is looked at."""
    now = [0.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    return clock


def slower(clock: Callable[[], float], factor: float) -> Callable[[], float]:
    """The clock as it would run if everything took `factor` times as long."""
    return lambda: clock() * factor


def remembered(matrix_of: MatrixOf) -> MatrixOf:
    """The same look-up, made once per list of events: the broken challengers are all asked about the same sample."""
    known: dict[tuple[str, ...], np.ndarray] = {}

    def recall(asked: pl.DataFrame) -> np.ndarray:
        ids = tuple(asked.get_column("event_id").to_list())
        if ids not in known:
            known[ids] = matrix_of(asked)
        return known[ids]

    return recall
