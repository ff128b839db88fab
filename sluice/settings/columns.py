"""Contradictions among the roles of columns: leaks, names that clash, personal data that would be needed."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.settings.data import Columns, Data

RESERVED = frozenset({"event_id", "event_time", "arrival", "label", "label_time"})
"""Columns that every table of events or labels has."""


def column_contradictions(task: str, data: Data) -> Iterator[str]:
    """All of them, each starting with its path."""
    yield from _leaks(data.columns)
    yield from _names(data.columns)
    yield from _personal(data.columns)
    yield from _labels(task, data)


def _leaks(columns: Columns) -> Iterator[str]:
    known_late = {columns.label, columns.label_time} - {None}
    for name, value in columns.values.items():
        if (value.column or name) in known_late:
            yield f"data.columns.values.{name}: the label must not be a value: it would be a feature"
        if value.min is not None and value.max is not None and value.min > value.max:
            yield f"data.columns.values.{name}.min: {value.min:g} is above max {value.max:g}"
        if value.type != "number" and not (value.unit is value.min is value.max is None):
            yield f"data.columns.values.{name}: unit, min and max are for numbers, not for a {value.type}"
    for name, column in columns.entities.items():
        if column in known_late:
            yield f"data.columns.entities.{name}: the label must not be an entity: windows would tell it"
        if column == "=":
            yield f"data.columns.entities.{name}: name the id that all events share, for example =all"
    if columns.arrival is not None and columns.event_time is None:
        yield "data.columns.arrival: goes with data.columns.event_time"


def _names(columns: Columns) -> Iterator[str]:
    for section, names in (("entities", columns.entities), ("values", columns.values)):
        for name in names:
            if name in RESERVED:
                yield f"data.columns.{section}.{name}: this name is taken; {', '.join(sorted(RESERVED))} are ours"
    for name in columns.entities.keys() & columns.values.keys():
        yield f"data.columns.values.{name}: an entity has this name"


def _personal(columns: Columns) -> Iterator[str]:
    texts = {columns.event_id, *columns.entities.values()}
    texts |= {value.column or name for name, value in columns.values.items() if value.type == "category"}
    others = {columns.event_time, columns.arrival, columns.label, columns.label_time}
    others |= {value.column or name for name, value in columns.values.items()}
    for column, treatment in columns.personal.items():
        path = f"data.columns.personal.{column}"
        if treatment == "drop" and column in texts | others:
            yield f"{path}: dropped, but also listed among data.columns"
        if treatment == "hash" and column in others - texts:
            yield f"{path}: only ids, entities and categories can be hashed and still be of use"


def _labels(task: str, data: Data) -> Iterator[str]:
    if data.labels.negative_after is not None and task != "binary":
        yield f"data.labels.negative_after: only a binary task has negatives, this is {task}"
    if data.labels.negative_after is not None and data.columns.event_time is None:
        yield "data.labels.negative_after: needs data.columns.event_time"
    if data.labels.source is not None and data.columns.event_id is None:
        yield "data.labels.source: labels find their events by data.columns.event_id"
    if data.start is not None and data.end is not None and data.start >= data.end:
        yield "data.end: lies not after data.start"
    if task == "binary" and len(data.labels.classes) not in (0, 2):
        yield "data.labels.classes: a binary task has two classes, the positive one last"
