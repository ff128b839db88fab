"""A model's answers in a stretch of time, each once, beside the requests that they answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from sluice.errors import DataError
from sluice.ledger.layout import Kind, Partition, partitions
from sluice.ledger.tables import EVENT_KEY, REQUESTS, RESPONSES, decode, once, together
from sluice.ledger.visible import View, steadily
from sluice.storage import Store


@dataclass(frozen=True)
class Answers:
    """What an endpoint was asked and said.

    Attributes:
        frame: one row a prediction in the order of time: the columns of `tables.RESPONSES`, `features` (struct of
            float32) where any answer held them, and from the request `asked` (its time) and `event_time`; null where
            the ledger does not hold the request.
        unanswered: one row a request (`tables.REQUESTS`) in the stretch that no answer came to in time.
        without_request: answers (events, not rows) whose request the ledger does not hold.
    """

    frame: pl.DataFrame
    unanswered: pl.DataFrame
    without_request: int


def answers(
    store: Store,
    model: str,
    start: datetime,
    end: datetime,
    *,
    answer_within: timedelta,
    versions: Collection[str] | None = None,
) -> Answers:
    """The answers given from `start` up to but not including `end` (times of the events, as their sender wrote them).

    Args:
        answer_within: a request without an answer after this long counts as unanswered (`payloads.answer_within`).
        versions: only answers of these; requests do not name a version, so `unanswered` is of all.

    Raises:
        DataError: the instants have no zone, or are in the wrong order.
        StoreError: the store does not answer.
        IntegrityError: a file is not what it was.
    """
    if start.tzinfo is None or end.tzinfo is None or end < start:
        raise DataError(f"from {start} to {end} is no stretch of time", "give two instants with a zone, in their order")
    late = end + answer_within
    said = _events(store, model, "responses", start, late)
    asked = _events(store, model, "requests", start - answer_within, end)
    unanswered = asked.filter(pl.col("time") >= start).join(said, on=EVENT_KEY, how="anti", nulls_equal=True)
    frame = _joined(said.filter(pl.col("time") < end), asked)
    if versions is not None:
        frame = frame.filter(pl.col("version").is_in(list(versions)))
    alone = frame.filter(pl.col("asked").is_null()).select(EVENT_KEY).n_unique() if frame.height else 0
    return Answers(frame, unanswered, alone)


def read_partition(store: Store, partition: Partition) -> pl.DataFrame:
    """All events of a partition, each once."""
    schema = REQUESTS if partition.kind == "requests" else RESPONSES

    def read(seen: View) -> pl.DataFrame:
        return together([decode(store.get(key), f"{store.url}/{key}") for key in seen.files], schema)

    return once(steadily(store, partition, read), schema)


def _events(store: Store, model: str, kind: Kind, start: datetime, end: datetime) -> pl.DataFrame:
    schema = REQUESTS if kind == "requests" else RESPONSES
    first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
    wanted = [found for found in partitions(store, model, kind) if first <= found.day <= last]
    within = (pl.col("time") >= start) & (pl.col("time") < end)
    return once(together([read_partition(store, each).filter(within) for each in wanted], schema), schema)


def _joined(said: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    requests = asked.select(*EVENT_KEY, pl.col("time").alias("asked"), "event_times")
    joined = said.join(requests, on=EVENT_KEY, how="left", nulls_equal=True, maintain_order="left")
    event_time = pl.col("event_times").list.get(pl.col("row"), null_on_oob=True).alias("event_time")
    return joined.with_columns(event_time).drop("event_times")
