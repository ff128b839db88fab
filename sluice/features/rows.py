"""One row of a view, in our form and in Feast's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, StringList, Value

from sluice.features.reading import Found
from sluice.features.state import STATE_COLUMNS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Nothing:
    """There was no row."""


NOTHING = Nothing()


@dataclass(frozen=True)
class Row:
    """One row of a view: its columns as arrays or scalars, and its version (seconds since 1970).

    On Redis: `replaces` is the row that was read (of a state view; `NOTHING` where there was none), and the write is
    left undone where another is there by now. `order`: it is left undone where a row of as large an order is there.
    """

    columns: Mapping[str, Any]
    version: int
    replaces: Found | Nothing = None
    order: int | None = None


def entity_key(join_key: str, key: str) -> EntityKey:
    """Feast's form of a key."""
    return EntityKey(join_keys=[join_key], entity_values=[Value(string_val=key)])


def version_time(version: int) -> datetime:
    """A version as Feast's event timestamp."""
    return _EPOCH + timedelta(seconds=version)


def next_version(previous: int, arrival_us: int) -> int:
    """Strictly larger than `previous`, and near the time of what was applied: whole seconds since 1970."""
    return max(previous + 1, arrival_us // 1_000_000, 1)


def to_values(row: Row) -> dict[str, Value]:
    """A row in Feast's form."""
    return {name: _value(value) for name, value in row.columns.items()}


def state_arrays(values: Mapping[str, Value]) -> dict[str, Any]:
    """What `tiles.from_arrays` takes, out of a row of a state view."""
    arrays: dict[str, Any] = {}
    for name in STATE_COLUMNS:
        value = values[name]
        kind = value.WhichOneof("val")
        if kind == "int64_val":
            arrays[name] = value.int64_val
        else:
            arrays[name] = list(getattr(value, kind).val) if kind else []
    return arrays


def _value(value: Any) -> Value:
    if value is None:
        return Value()
    if isinstance(value, int):
        return Value(int64_val=value)
    if isinstance(value, float):
        return Value(double_val=value)
    if isinstance(value, str):
        return Value(string_val=value)
    if value.dtype.kind == "U":
        return Value(string_list_val=StringList(val=value.tolist()))
    return Value(int64_list_val=Int64List(val=value.tolist()))
