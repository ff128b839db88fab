"""Rows of several views at once: what a request needs, read together before it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from feast import FeatureView
from feast.protos.feast.types.Value_pb2 import Value

from sluice.features.state import TIME, VERSION

Found = Mapping[str, Value] | None
"""The columns of a row; None where there is no such key."""
Asked = Sequence[tuple[FeatureView, Sequence[str]]]


class Reader(Protocol):
    """What rows are read from: a store, or rows that were read from one."""

    def read(self, view: FeatureView, keys: Sequence[str]) -> list[Found]:
        """The rows of some keys."""


class Rows:
    """Rows that were read together. `read` gives those that were asked for, without the store."""

    def __init__(self, asked: Asked, found: Sequence[Sequence[Found]]) -> None:
        self._rows: dict[str, dict[str, Found]] = {}
        for (view, keys), rows in zip(asked, found, strict=True):
            self._rows.setdefault(view.name, {}).update(zip(keys, rows, strict=True))

    def read(self, view: FeatureView, keys: Sequence[str]) -> list[Found]:
        """The rows of some keys."""
        rows = self._rows.get(view.name, {})
        return [rows[key] for key in keys]


def watermarks(reader: Reader, view: FeatureView, streams: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Up to where each stream was applied: µs since 1970, and the row's version. Streams never applied: none."""
    found = zip(streams, reader.read(view, streams), strict=True)
    return {s: (row[TIME].int64_val, row[VERSION].int64_val) for s, row in found if row is not None}
