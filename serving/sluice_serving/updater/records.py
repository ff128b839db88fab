"""Records of a stream as tables of events and labels. What cannot be read is set aside with its reason, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import polars as pl

from sluice.features.lookup import Requests
from sluice.ingest.events import SHARED
from sluice.settings import UseCase
from sluice.updates.source import Entry, Partition, partition_number
from sluice.windows.definition import EXACT, WindowView
from sluice.windows.finish import LARGEST_SQUARED, LARGEST_VALUE
from sluice_serving import fields
from sluice_serving.requests import InvalidRequestError, RequestReader

_INSTANT = pl.Datetime("us", "UTC")


class UnreadableError(ValueError):
    """A record that cannot be used, and why."""


@dataclass
class Batch:
    """What a stretch of a partition holds.

    events, labels: None where there are none. until: µs since 1970 up to which all is there, where a record says so.
    refused: reason and record.
    """

    events: pl.DataFrame | None = None
    labels: pl.DataFrame | None = None
    until: int | None = None
    refused: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass
class _Read:
    """One record that could be read: its row of the request reader's, and the instants beside it in µs."""

    requests: Requests
    instants: dict[str, int]
    label: float | None = None


class RecordReader:
    """Reads the records of one use case, in the form that the endpoint takes; `views` are the windows they go into."""

    def __init__(self, use_case: UseCase, views: Sequence[WindowView], pseudonym_key: bytes | None = None) -> None:
        self._use_case, self._views = use_case, views
        self._tolerance_us = use_case.data.quality.future_tolerance // EXACT
        self._reader = RequestReader(use_case, pseudonym_key)
        columns = use_case.data.columns
        self._entities = list(columns.entities)
        self._values = list(columns.values)
        self._bounds = _bounds(views)
        self._readers: dict[str, Callable[[dict[str, Any]], _Read]] = {"event": self._event, "label": self._label}

    def read(self, partition: Partition, entries: Sequence[Entry]) -> Batch:
        """Tables of a stretch of a partition."""
        batch, read = Batch(), {"event": list[_Read](), "label": list[_Read]()}
        for entry in entries:
            try:
                if entry.kind == "until":
                    batch.until = max(self._instant(entry, entry.body.decode("ascii", "replace")), batch.until or 0)
                else:
                    read[entry.kind].append(self._one(partition, entry))
            except KeyError:
                batch.refused.append(("expected one field: event, label or until", entry.body))
            except ValueError as error:
                batch.refused.append((str(error), entry.body))
        batch.events = self._events(read["event"])
        batch.labels = self._labels(read["label"])
        return batch

    def _one(self, partition: Partition, entry: Entry) -> _Read:
        reader = self._readers[entry.kind]
        content = _object(entry.body)
        self._check_partition(partition, content)
        read = reader(content)
        latest = int(entry.accepted * 1e6) + self._tolerance_us
        for name, instant in read.instants.items():
            if instant > latest:
                raise UnreadableError(f"{name}: from the future")
        return read

    def _instant(self, entry: Entry, text: str) -> int:
        instant = fields.instant(text)
        if instant > int(entry.accepted * 1e6) + self._tolerance_us:
            raise UnreadableError("until: from the future")
        return instant

    def _check_partition(self, partition: Partition, content: Mapping[str, Any]) -> None:
        source = self._use_case.data.columns.entities[partition.entity]
        key = content.get(partition.entity, source[len(SHARED) :] if source.startswith(SHARED) else None)
        text = _named(partition.entity, fields.identifier, key)
        number = partition_number(text, self._use_case.features.online.updates.partitions)
        if number != partition.number:
            raise UnreadableError(f"{partition.entity} {text!r} belongs to partition {number}, not {partition.number}")

    def _event(self, content: dict[str, Any]) -> _Read:
        has_arrival = self._use_case.data.columns.arrival is not None
        arrival = content.pop("arrival", None) if has_arrival else None
        requests = self._row(content)
        self._check_sizes({name: requests.values[name][0] for name in self._bounds if name in requests.values})
        time = int(requests.event_time_us[0])
        known = time
        if has_arrival:
            known = _named("arrival", fields.instant, arrival)
            if known < time:
                raise UnreadableError("arrival: before its event")
        return _Read(requests, {"event_time": time, "arrival": known})

    def _label(self, content: dict[str, Any]) -> _Read:
        labels = self._use_case.data.labels
        given, when = content.pop("label", None), content.pop("label_time", None)
        label = _named("label", self._label_value, given)
        self._check_sizes({"label": label})
        # The rest is what an event is known by; its values are not sent again.
        requests = self._row({**self._filled(), **content})
        time = int(requests.event_time_us[0])
        if when is None and labels.delay is not None:
            known = time + labels.delay // EXACT
        else:
            known = _named("label_time", fields.instant, when)
        if known < time:
            raise UnreadableError("label_time: before its event")
        return _Read(requests, {"event_time": time, "label_time": known}, label)

    def _row(self, content: dict[str, Any]) -> Requests:
        try:
            return self._reader.read_rows([content])
        except InvalidRequestError as error:
            told = (f"{problem['field']}: {problem['problem']}" for problem in error.problems)
            raise UnreadableError("; ".join(told)) from None

    def _filled(self) -> dict[str, Any]:
        """Values that pass for the reader in place of an event's own, which a label does not hold."""
        kinds = self._use_case.data.columns.values
        return {n: "" if v.type == "category" else _within(v.min, v.max) for n, v in kinds.items()}

    def _label_value(self, value: Any) -> float:
        labels, task = self._use_case.data.labels, self._use_case.task
        if labels.classes and task != "regression":
            text = fields.text(value)
            if text not in labels.classes:
                raise ValueError(f"expected one of {', '.join(labels.classes)}, got {fields.shown(value)}")
            return float(labels.classes.index(text))
        if task == "regression":
            if type(value) not in (int, float) or not np.isfinite(value):
                raise ValueError(f"expected a finite number, got {fields.shown(value)}")
            return float(value)
        if type(value) not in (bool, int, float) or value not in (0, 1):
            raise ValueError(f"expected true, false, 1 or 0, got {fields.shown(value)}")
        return float(value)

    def _check_sizes(self, values: Mapping[str, float]) -> None:
        """Sums are of whole units and have to be exact: see `finish.check_sizes`."""
        for name, value in values.items():
            bound = self._bounds.get(name)
            if bound is None or value is None or np.isnan(value):
                continue
            if not float(value).is_integer():
                raise UnreadableError(f"{name}: {value!r} is no whole number of its unit")
            if abs(value) > bound:
                raise UnreadableError(f"{name}: {value:g} units, sums are exact up to {bound}")

    def _events(self, read: Sequence[_Read]) -> pl.DataFrame | None:
        if not read:
            return None
        kinds = self._use_case.data.columns.values
        values = {
            name: pl.Series(
                [None if _is_missing(r.requests.values[name][0]) else r.requests.values[name][0] for r in read],
                dtype=pl.String if kinds[name].type == "category" else pl.Float64,
            )
            for name in self._values
        }
        return pl.DataFrame({**self._common(read, "event_time", "arrival"), **values})

    def _labels(self, read: Sequence[_Read]) -> pl.DataFrame | None:
        if not read:
            return None
        label = pl.Series([r.label for r in read], dtype=pl.Float64)
        return pl.DataFrame({**self._common(read, "event_time", "label_time"), "label": label})

    def _common(self, read: Sequence[_Read], *instants: str) -> dict[str, pl.Series]:
        columns = {"event_id": pl.Series([r.requests.event_id[0] for r in read], dtype=pl.String)}
        columns |= {n: pl.Series([r.instants[n] for r in read], dtype=pl.Int64).cast(_INSTANT) for n in instants}
        return columns | {
            n: pl.Series([r.requests.entities[n][0] for r in read], dtype=pl.String) for n in self._entities
        }


def _within(least: float | None, most: float | None) -> float:
    if least is not None and least > 0:
        return least
    return most if most is not None and most < 0 else 0


def _bounds(views: Sequence[WindowView]) -> dict[str, int]:
    bounds: dict[str, int] = {}
    for view in views:
        for column in view.numeric_columns:
            bound = LARGEST_SQUARED if column in view.squared_columns else LARGEST_VALUE
            bounds[column] = min(bound, bounds.get(column, bound))
    return bounds


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"expected a JSON object: {error}") from None
    if not isinstance(content, dict):
        raise UnreadableError(f"expected a JSON object, got {fields.shown(content)}")
    return content


def _named(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise UnreadableError(f"{name}: {error}") from None


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))
