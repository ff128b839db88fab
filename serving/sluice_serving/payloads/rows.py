"""From the events of a segment to the ledger's tables, one a partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from sluice.ledger.layout import ANY_VERSION, Partition, partition_of
from sluice.ledger.tables import FEATURES, REQUESTS, RESPONSES, once, together
from sluice.payloads.bodies import Answer, read_answer, read_question
from sluice.payloads.events import Event

_CHUNK = 1000
"""Rows that are Python objects at a time; tables of them are a tenth as large."""
Place = tuple[Partition, tuple[str, ...]]
"""A partition, and the names of the features of its rows."""


def tables(events: Iterable[tuple[str, str, Event]]) -> Iterator[tuple[Partition, pl.DataFrame]]:
    """Tables of (model, caller, event): one a partition and set of features, in the order in which they first came."""
    open_rows: dict[Place, _Requests | _Responses] = {}
    chunks: dict[Place, list[pl.DataFrame]] = {}
    for model, caller, event in events:
        if event.kind == "requests":
            place: Place = (partition_of(model, "requests", ANY_VERSION, event.time), ())
            rows = open_rows.setdefault(place, _Requests())
            assert isinstance(rows, _Requests)
            rows.add(event, caller)
        else:
            answer = read_answer(event.data)
            names = answer.names if answer.features is not None else ()
            place = partition_of(model, "responses", answer.version, event.time), names
            rows = open_rows.setdefault(place, _Responses(names))
            assert isinstance(rows, _Responses)
            rows.add(event, caller, answer)
        if len(rows) >= _CHUNK:
            chunks.setdefault(place, []).append(rows.chunk())
    for place, rows in open_rows.items():
        parts = [*chunks.get(place, []), rows.chunk()]
        yield place[0], once(together(parts, rows.schema), rows.schema)


class _Requests:
    schema = REQUESTS

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, event: Event, caller: str) -> None:
        times = read_question(event.data)
        self._rows.append((*_named(event, caller), None if times is None else len(times), times))

    def chunk(self) -> pl.DataFrame:
        table = pl.DataFrame(self._rows, schema=self.schema, orient="row")
        self._rows = []
        return table


class _Responses:
    schema = RESPONSES

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._rows: list[tuple[Any, ...]] = []
        self._features: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, event: Event, caller: str, answer: Answer) -> None:
        several = answer.scores.ndim == 2
        top = answer.scores.max(axis=1) if several else answer.scores
        columns = (
            answer.event_ids,
            top.tolist(),
            answer.scores.tolist() if several else None,
            answer.classes,
            [answer.version] * len(answer),
            [answer.server_time] * len(answer),
            answer.flags["unknown"],
            answer.named["unknown"],
            answer.flags["stale"],
            answer.named["stale"],
            answer.flags["ahead"],
            answer.flags["repeated"],
        )
        nothing = [None] * len(answer)
        given = zip(*(nothing if column is None else column for column in columns), strict=True)
        about = _named(event, caller)
        self._rows += [(*about, row, *values) for row, values in enumerate(given)]
        if answer.features is not None:
            self._features.append(answer.features)

    def chunk(self) -> pl.DataFrame:
        table = pl.DataFrame(self._rows, schema=self.schema, orient="row")
        if self._names and self._features:
            matrix = pl.DataFrame(np.concatenate(self._features), schema=list(self._names), orient="row")
            table = table.with_columns(matrix.fill_nan(None).to_struct(FEATURES))
        self._rows, self._features = [], []
        return table


def _named(event: Event, caller: str) -> tuple[Any, ...]:
    return event.source, event.id, event.time, event.service, event.endpoint, caller
