"""Answer requests from tile states: read the rows of all keys once a view, then ask each at its own instant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from numbers import Real
from typing import Any

import numpy as np

from sluice.errors import RequestError
from sluice.features.reading import Reader
from sluice.features.rows import state_arrays
from sluice.features.updater import EVENTS, Online
from sluice.windows import tiles
from sluice.windows.definition import WindowView


@dataclass(frozen=True)
class Requests:
    """What is to be scored, n rows of it.

    event_id: the events' own ids; None where there is none (then everything up to the instant is seen).
    event_time_us: int64 [n], microseconds since 1970, UTC.
    entities: by entity name, n keys.
    values: by value name, n numbers (in whole units where the value has a unit; None or NaN: missing) or strings.
    arrival_us: int64 [n], when each was asked; None: now, so that all that state holds is seen.
    """

    event_id: Sequence[str | None]
    event_time_us: np.ndarray
    entities: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[Any] | np.ndarray]
    arrival_us: np.ndarray | None = None


@dataclass
class Answers:
    """Window features by name, float64 [n] with NaN for null, and what was found on the way."""

    columns: dict[str, np.ndarray]
    ahead: np.ndarray
    repeated: np.ndarray
    known: dict[str, np.ndarray] = field(default_factory=dict)


def look_up(reader: Reader, parts: Sequence[Online], requests: Requests) -> Answers:
    """The window features of requests, as state holds them now.

    Raises:
        RequestError: an entity is not given, or a value that is summed is no whole number of its unit.
        FeatureError: the store does not answer.
    """
    count = len(requests.event_time_us)
    answers = Answers({}, np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_))
    for online in parts:
        _answer_view(reader, online, requests, answers)
    return answers


def _answer_view(reader: Reader, online: Online, requests: Requests, answers: Answers) -> None:
    view = online.view
    if view.entity not in requests.entities:
        raise RequestError(f"{view.entity}: missing", HTTPStatus.UNPROCESSABLE_ENTITY, "give every entity a key")
    keys = requests.entities[view.entity]
    states = _states(reader, online, keys)
    own = _own_values(view, requests)
    table = np.empty((len(keys), len(view.aggregations)), dtype=np.float64)
    nothing = tiles.empty(view)
    times = requests.event_time_us.tolist()
    arrivals = [None] * len(keys) if requests.arrival_us is None else requests.arrival_us.tolist()
    for i, key in enumerate(keys):
        state = states.get(key, nothing)
        table[i], flags = tiles.answer(view, state, times[i], requests.event_id[i], own[i], arrival_us=arrivals[i])
        answers.ahead[i] |= flags.ahead
        answers.repeated[i] |= flags.repeated
    known = np.array([key in states for key in keys], dtype=np.bool_)
    answers.known[view.entity] = answers.known.get(view.entity, False) | known
    answers.columns |= {a.name: table[:, i] for i, a in enumerate(view.aggregations)}


def _states(reader: Reader, online: Online, keys: Sequence[str]) -> dict[str, tiles.TileState]:
    asked = list(dict.fromkeys(keys))
    found = zip(asked, reader.read(online.twin, asked), strict=True)
    return {key: tiles.from_arrays(online.view, state_arrays(row)) for key, row in found if row is not None}


def _own_values(view: WindowView, requests: Requests) -> Sequence[Mapping[str, int | None] | None]:
    """The scored events' own values: they count in windows over events, and have no label yet."""
    count = len(requests.event_time_us)
    if view.stream != EVENTS:
        return [None] * count
    columns = []
    for name in view.columns:
        if name in view.numeric_columns and name not in requests.values:
            raise RequestError(f"{name}: missing", HTTPStatus.UNPROCESSABLE_ENTITY, f"windows of {view.name} need it")
        # An id or an entity is always there: it is counted.
        given = requests.values.get(name, [1] * count)
        columns.append([_whole(view, name, value) for value in given])
    return [dict(zip(view.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _whole(view: WindowView, name: str, value: Any) -> int | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if name not in view.numeric_columns:
        return 1
    if not isinstance(value, Real) or not float(value).is_integer():
        raise RequestError(
            f"{name}: {value!r} is no whole number of its unit",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "round it as ingest does",
        )
    return int(float(value))
