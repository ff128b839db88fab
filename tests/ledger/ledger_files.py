"""Ledger files for tests, and a store that is killed at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from sluice.ledger.layout import ANY_VERSION, Partition, partition_of
from sluice.ledger.tables import FEATURES, REQUESTS, RESPONSES, encode
from sluice.storage import Store

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WITHIN = timedelta(minutes=1)


def responses(
    numbers: Iterable[int], *, version: str = "v1", start: datetime = START, features: tuple[str, ...] = ("a", "b")
) -> pl.DataFrame:
    """One answer a number, a second apart: event `e<number>`, score number/1000."""
    rows: list[dict[str, Any]] = [
        {
            "source": "http://pod/",
            "id": str(number),
            "time": start + timedelta(seconds=number),
            "service": "fraud",
            "endpoint": "default",
            "caller": "tester",
            "row": 0,
            "event_id": f"e{number}",
            "score": number / 1000,
            "version": version,
            "unknown": number % 2 == 0,
            "unknown_entities": ["card"] if number % 2 == 0 else [],
        }
        for number in numbers
    ]
    table = pl.DataFrame(rows, schema=RESPONSES)
    if not features:
        return table
    values = [pl.lit(place, pl.Float32).alias(name) for place, name in enumerate(features)]
    return table.with_columns(pl.struct(values).alias(FEATURES))


def requests(numbers: Iterable[int], *, start: datetime = START) -> pl.DataFrame:
    """The requests, half a second before their answers, about events of a day before."""
    rows = [
        {
            "source": "http://pod/",
            "id": str(number),
            "time": start + timedelta(seconds=number - 0.5),
            "service": "fraud",
            "rows": 1,
            "event_times": [start + timedelta(seconds=number) - DAY],
        }
        for number in numbers
    ]
    return pl.DataFrame(rows, schema=REQUESTS)


def add(store: Store, name: str, table: pl.DataFrame, model: str = "fraud") -> Partition:
    """A file of the receiver's; all rows belong to one partition."""
    kind = "responses" if "score" in table.columns else "requests"
    version = str(table.get_column("version")[0]) if kind == "responses" else ANY_VERSION
    partition = partition_of(model, kind, version, table.get_column("time")[0])  # type: ignore[arg-type]
    store.put(f"{partition.prefix}/{name}.parquet", encode(table))
    return partition


def day(number: int) -> date:
    """A day of the ledger."""
    return (START + number * DAY).date()


class Killed(BaseException):
    """What a kill looks like from inside."""


class Interrupted:
    """A store that does `before(count)` before each write or removal, the first being 1."""

    def __init__(self, store: Store, before: Callable[[int], None]) -> None:
        self._store, self._before, self.count = store, before, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name not in ("put", "put_if_absent", "purge", "delete"):
            return real

        def counted(*given: Any) -> Any:
            self.count += 1
            self._before(self.count)
            return real(*given)

        return counted


def killed_at(store: Store, moment: int) -> Any:
    """A store that is killed before its write or removal number `moment`."""

    def before(count: int) -> None:
        if count == moment:
            raise Killed

    return Interrupted(store, before)
