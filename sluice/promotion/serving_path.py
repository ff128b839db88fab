"""The way a request goes in production, for the gate's parity check: state kept event by event, graph by its bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from sluice import digests
from sluice.export.graph import Graph
from sluice.features.lookup import Requests
from sluice.features.online import OnlineFeatures
from sluice.features.schema import FeatureSchema
from sluice.features.touching import last_asked, touching
from sluice.gate.case import ServingPath
from sluice.settings import UseCase


def serving_path(
    use_case: UseCase, model: bytes, schema: FeatureSchema, events: pl.DataFrame, labels: pl.DataFrame
) -> ServingPath:
    """Score events as the server would have: the graph by its bytes, features by `looked_up`."""
    graph, matrix_of = Graph(model), looked_up(use_case, schema, events, labels)
    return ServingPath(digests.of_bytes(model), lambda asked: graph.score(matrix_of(asked)))


def looked_up(
    use_case: UseCase, schema: FeatureSchema, events: pl.DataFrame, labels: pl.DataFrame
) -> Callable[[pl.DataFrame], np.ndarray]:
    """A function from rows of the events table to their matrix, each looked up at its own arrival.

    State is built from `events` and `labels` in an online store of the gate's own.
    """

    def matrix_of(asked: pl.DataFrame) -> np.ndarray:
        with tempfile.TemporaryDirectory(prefix="sluice-gate-") as folder:
            online = OnlineFeatures.open(_embedded(use_case), Path(folder), schema)
            last = last_asked(asked, use_case.data.columns.entities, "arrival")
            # Other entities are blanked, and these after their last question: that state is never read.
            news = touching(events, last, "arrival"), touching(labels, last, "label_time")
            return _in_order(use_case, online, asked, *news)

    return matrix_of


def requests_of(use_case: UseCase, events: pl.DataFrame) -> Requests:
    """The requests that rows of the events table are."""
    columns = use_case.data.columns
    return Requests(
        event_id=events.get_column("event_id").to_list(),
        event_time_us=_microseconds(events, "event_time"),
        entities={name: events.get_column(name).to_list() for name in columns.entities},
        values={name: events.get_column(name).to_list() for name in columns.values},
        arrival_us=_microseconds(events, "arrival"),
    )


def _in_order(
    use_case: UseCase, online: OnlineFeatures, asked: pl.DataFrame, events: pl.DataFrame, labels: pl.DataFrame
) -> np.ndarray:
    """The matrix of the asked events, in their order: state is brought up to each before it is asked about."""
    seen_events, seen_labels = _feed(events, "arrival"), _feed(labels, "label_time")
    ordered = asked.with_row_index("_place").sort("arrival", "event_id")
    rows = np.empty((asked.height, len(online.schema.columns)), dtype=np.float32)
    for count in range(ordered.height):
        one = ordered.slice(count, 1)
        time = int(_microseconds(one, "arrival")[0])
        news = seen_events((time, one.get_column("event_id").item())), seen_labels((time + 1, ""))
        if count == 0:
            online.materialise(*news)
        elif news[0].height or news[1].height:
            online.apply(*news)
        rows[one.get_column("_place").item()] = online.compose(requests_of(use_case, one)).matrix[0]
    return rows


def _feed(table: pl.DataFrame, time: str) -> Callable[[tuple[int, str]], pl.DataFrame]:
    """A function that gives what became known since it was last called and before (time, event id)."""
    ordered = table.sort(time, "event_id")
    position = list(zip(_microseconds(ordered, time).tolist(), ordered.get_column("event_id").to_list(), strict=True))
    taken = 0

    def until(instant: tuple[int, str]) -> pl.DataFrame:
        nonlocal taken
        start = taken
        while taken < len(position) and position[taken] < instant:
            taken += 1
        return ordered.slice(start, taken - start)

    return until


def _microseconds(table: pl.DataFrame, column: str) -> np.ndarray:
    return table.get_column(column).dt.timestamp("us").to_numpy().astype(np.int64)


def _embedded(use_case: UseCase) -> UseCase:
    """The same use case on an embedded store: the gate touches nobody's Redis."""
    online = use_case.features.online.model_copy(update={"store": "sqlite", "address": None})
    features = use_case.features.model_copy(update={"online": online})
    return use_case.model_copy(update={"features": features})
