"""Labelled answers from the payload ledger and the labels that the use case's own source has by now.

The loss is one that lies between 0 and 1 by itself, so that nothing is clipped that counts: Brier's for classes (of
several, half the squared distance to the class that it was), which a model cannot lower by saying what it does not
believe. Log loss has no largest value, and a limit put on it would bring that back. A value's loss is the absolute
error as a part of the distance between the lowest and the highest decile of the champion's usual scores, 1 from there
on: one absurd label counts once, not squared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import polars as pl

from sluice.ingest import ingest
from sluice.ledger import answers
from sluice.rollout.labels import Losses, Span
from sluice.settings import UseCase
from sluice.storage import Store

LOSS = "loss"


class LedgerLabels:
    """Joins a rollout's answers to labels by event id; of a version's answers about one event the first counts.

    Args:
        labels: the latest label of each event that is known by now [event_id, label].
        levels: the deciles of a version's usual scores; empty where it has none.
    """

    def __init__(
        self,
        store: Store,
        use_case: UseCase,
        *,
        labels: Callable[[], pl.DataFrame],
        levels: Callable[[str], Sequence[float]],
    ) -> None:
        self._store, self._use_case, self._labels, self._levels = store, use_case, labels, levels

    def losses(self, champion: str, challenger: str, spans: Sequence[Span]) -> list[tuple[Losses, Losses]]:
        """Both versions' losses on what they answered in each stretch of time and whose label is there."""
        given = [self._answers(champion, challenger, *span) for span in spans]
        if all(frame.is_empty() for frame in given):
            return [(Losses(), Losses())] * len(spans)
        labels = self._labels()
        loss = loss_of(self._use_case.task, self._scale(champion)).alias(LOSS)
        scored = [
            frame.join(labels, on="event_id", how="inner").select("version", loss).drop_nulls() for frame in given
        ]
        return [(_sum(frame, champion), _sum(frame, challenger)) for frame in scored]

    def _answers(self, champion: str, challenger: str, start: datetime, end: datetime) -> pl.DataFrame:
        found = answers(
            self._store, self._use_case.name, start, end, answer_within=timedelta(), versions=(champion, challenger)
        )
        return found.frame.unique(["version", "event_id"], keep="first", maintain_order=True)

    def _scale(self, champion: str) -> float:
        levels = self._levels(champion)
        return (levels[-1] - levels[0] if levels else 0.0) or 1.0


def loss_of(task: str, scale: float = 1.0) -> pl.Expr:
    """The loss, between 0 and 1, of rows with `score`, `scores` and `label` (0 or 1, a class's place, or a value).

    Args:
        scale: of a regression: the error that counts as 1.
    """
    if task == "binary":
        return (pl.col("score").cast(pl.Float64) - pl.col("label")) ** 2
    if task == "regression":
        return ((pl.col("score").cast(pl.Float64) - pl.col("label")).abs() / scale).clip(0.0, 1.0)
    squares = pl.col("scores").list.eval(pl.element().cast(pl.Float64) ** 2).list.sum()
    own = pl.col("scores").list.get(pl.col("label").cast(pl.UInt32), null_on_oob=True).cast(pl.Float64)
    return ((squares - 2 * own + 1) / 2).clip(0.0, 1.0)


def known_labels(use_case: UseCase, now: datetime) -> pl.DataFrame:
    """The latest label of each event that `data.source` and `data.labels` hold by `now` [event_id, label].

    Raises:
        DataError: they cannot be read, or more rows are bad than the settings allow. StoreError: S3 does not answer.
    """
    # What the use case learns from may end earlier; the world that is answered goes on.
    labels = ingest(use_case.until(None), now=now).labels
    return labels.unique("event_id", keep="last", maintain_order=True).select("event_id", "label")


def _sum(scored: pl.DataFrame, version: str) -> Losses:
    mine = scored.filter(pl.col("version") == version).get_column(LOSS)
    return Losses(mine.len(), float(mine.sum()))
