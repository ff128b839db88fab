"""From a V1 body to the request that features are composed from; every mistake is named by row and field."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np

from sluice.errors import RequestError
from sluice.features.lookup import Requests
from sluice.ingest.events import SHARED
from sluice.ingest.personal import pseudonym, secret_of
from sluice.settings.data import ValueColumn
from sluice.settings.use_case import UseCase
from sluice_serving import fields

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
_SHOWN = 10
"""Problems listed in one answer; the rest is counted."""

_MISSING = object()


@dataclass(frozen=True)
class Field:
    """One field of an instance: how it is read, what it is for, whether it may be left out."""

    name: str
    role: str
    read: Callable[[Any], Any]
    optional: bool = False


class InvalidRequestError(RequestError):
    """A body that is readable but wrong. `problems` has one entry a mistake: row (or None), field, problem."""

    def __init__(
        self, problems: Sequence[tuple[int | None, str, str]], status: HTTPStatus = UNPROCESSABLE, reason: str = "field"
    ) -> None:
        lines = [_line(*problem) for problem in problems[:_SHOWN]]
        rest = len(problems) - _SHOWN
        super().__init__("; ".join(lines) + (f"; and {rest} more" if rest > 0 else ""), status)
        self.problems = [{"row": row, "field": field, "problem": text} for row, field, text in problems[:_SHOWN]]
        self.reason = reason


class RequestReader:
    """Reads instances of one use case."""

    def __init__(self, use_case: UseCase, pseudonym_key: bytes | None = None) -> None:
        """`pseudonym_key`: secret of personal columns that are hashed; default: what the settings name."""
        self.use_case = use_case
        self.max_batch = use_case.serving.max_batch
        self.fields = request_fields(use_case, pseudonym_key or secret_of(use_case))
        self._names = {field.name for field in self.fields}

    def read_v1(self, body: Any) -> Requests:
        """The requests of `{"instances": [{...}, ...]}`.

        Raises:
            InvalidRequestError: all mistakes of all rows at once.
        """
        return self.read_rows(instances_of(body, self.max_batch))

    def check_rows(self, count: int) -> None:
        """Refuses no rows at all (422) and more than the settings allow (413)."""
        check_rows(count, self.max_batch)

    def read_rows(self, rows: Sequence[Any]) -> Requests:
        """Requests from one mapping a row, fields by their role names."""
        columns: dict[str, list[Any]] = {field.name: [] for field in self.fields}
        problems: list[tuple[int | None, str, str]] = []
        for number, row in enumerate(rows):
            self._read_row(number, row, columns, problems)
        if problems:
            raise InvalidRequestError(problems)
        return self._requests(columns)

    def _read_row(
        self, number: int, row: Any, columns: dict[str, list[Any]], problems: list[tuple[int | None, str, str]]
    ) -> None:
        if not isinstance(row, dict):
            problems.append((number, "instances", f"expected an object, got {fields.shown(row)}"))
            return
        for field in self.fields:
            value = row.get(field.name, _MISSING)
            if value is _MISSING:
                if not field.optional:
                    problems.append((number, field.name, "is missing"))
                    continue
                value = None
            try:
                columns[field.name].append(field.read(value))
            except UnicodeEncodeError:
                problems.append((number, field.name, "expected text that is valid Unicode"))
            except ValueError as error:
                problems.append((number, field.name, str(error)))
        if len(row) > len(self.fields) or not self._names.issuperset(row):
            expected = ", ".join(sorted(self._names))
            problems += [
                (number, fields.shown(name), f"is not a field of this model; expected {expected}")
                for name in row
                if name not in self._names
            ]

    def _requests(self, columns: Mapping[str, list[Any]]) -> Requests:
        roles = {role: [field.name for field in self.fields if field.role == role] for role in ("entity", "value")}
        kinds = self.use_case.data.columns.values
        return Requests(
            event_id=columns["event_id"],
            event_time_us=np.array(columns["event_time"], dtype=np.int64),
            entities={name: columns[name] for name in roles["entity"]},
            values={name: _column(columns[name], kinds[name]) for name in roles["value"]},
        )


_BAD = HTTPStatus.BAD_REQUEST


def instances_of(body: Any, max_batch: int) -> list[Any]:
    """The rows of a V1 body, whatever they hold.

    Raises:
        InvalidRequestError: there are none (400, 422), or too many (413).
    """
    if not isinstance(body, dict):
        raise InvalidRequestError([(None, "body", f"expected a JSON object, got {fields.shown(body)}")], _BAD, "body")
    instances = body.get("instances", _MISSING)
    if not isinstance(instances, list):
        given = "nothing" if instances is _MISSING else fields.shown(instances)
        raise InvalidRequestError([(None, "instances", f"expected a list of objects, got {given}")], _BAD, "body")
    check_rows(len(instances), max_batch)
    return instances


def check_rows(count: int, max_batch: int) -> None:
    """Refuses no rows at all (422) and more than `max_batch` (413)."""
    if count == 0:
        raise InvalidRequestError([(None, "instances", "expected at least one row")], reason="rows")
    if count > max_batch:
        text = f"expected at most {max_batch} rows, got {count}: send several requests"
        raise InvalidRequestError([(None, "instances", text)], HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "rows")


def request_fields(use_case: UseCase, key: bytes) -> tuple[Field, ...]:
    """What an instance of this use case holds, in the order of the settings; `key` makes pseudonyms."""
    columns = use_case.data.columns
    timed = columns.event_time is not None
    identifier = functools.partial(_hashed, fields.identifier, use_case, key)
    found = [
        Field("event_id", "id", identifier(columns.event_id)),
        Field("event_time", "time", fields.instant if timed else _untimed, optional=not timed),
    ]
    for name, source in columns.entities.items():
        shared = source.startswith(SHARED)
        read_id = functools.partial(_shared, source.removeprefix(SHARED)) if shared else identifier(source)
        found.append(Field(name, "entity", read_id, optional=shared))
    for name, column in columns.values.items():
        kind = {"number": fields.number, "boolean": fields.boolean, "category": fields.category}[column.type]
        read: Callable[[Any], Any] = functools.partial(kind, column=column)
        if column.type == "category":
            read = _hashed(read, use_case, key, column.column or name)
        found.append(Field(name, "value", read, column.missing == "keep"))
    return tuple(found)


def _hashed(read: Callable[[Any], Any], use_case: UseCase, key: bytes, column: str | None) -> Callable[[Any], Any]:
    """The same reader, followed by the pseudonym where the settings hash this source column."""
    if use_case.data.columns.personal.get(column or "") != "hash":
        return read

    def hashed(value: Any) -> str | None:
        found = read(value)
        return None if found is None else pseudonym(found, key)

    return hashed


def _shared(only: str, value: Any) -> str:
    """The entity that all events share: nobody needs to send it, and nobody may send another."""
    if value is not None and fields.identifier(value) != only:
        raise ValueError(f"is always {only!r}; leave it out")
    return only


def _untimed(value: Any) -> int:
    """Tables without time have no instant; one that is sent all the same must be one."""
    return 0 if value is None else fields.instant(value)


def _column(values: list[Any], column: ValueColumn) -> np.ndarray | list[Any]:
    return values if column.type == "category" else np.array(values, dtype=np.float64)


def _line(row: int | None, field: str, problem: str) -> str:
    return f"{field}: {problem}" if row is None else f"row {row}, {field}: {problem}"
