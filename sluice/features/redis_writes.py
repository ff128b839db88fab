"""Rows into Redis, each only where it still is what it was when it was read; many with a position in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feast import FeatureView

from sluice.errors import FencedError
from sluice.features import scripts
from sluice.features.redis_rows import RedisRows
from sluice.features.rows import Nothing, Row, to_values, version_time
from sluice.features.state import VERSION

_BATCH = 500
_MOST_REFUSED = 10_000
"""Refused records that are kept to be looked at."""

Word = bytes | str | int
Views = Sequence[tuple[FeatureView, Mapping[str, Row]]]


@dataclass(frozen=True)
class Remembered:
    """Something small under a name of its own, forgotten after a while."""

    key: str
    value: bytes
    milliseconds: int


@dataclass(frozen=True)
class Commit:
    """What becomes true in one step: rows, what is remembered, what was refused, and the position after it.

    newest: µs since 1970 up to which a stream was applied here, by stream.
    refused: reason and record.
    """

    position: str
    count: int
    rows: Views = ()
    remembered: Sequence[Remembered] = ()
    newest: Mapping[str, int] = field(default_factory=dict)
    refused: Sequence[tuple[str, bytes]] = ()


def write(
    redis: RedisRows, view: FeatureView, rows: Mapping[str, Row], after_batch: Callable[[], None] = lambda: None
) -> set[str]:
    """Write rows one by one; the keys of those that somebody else was faster with."""
    script: Any = redis.client.register_script(scripts.WRITE)
    keys = list(rows)
    left: set[str] = set()
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        arguments = [word for key in batch for word in _words(redis, view, rows[key])]
        places: Any = script(keys=[redis.key(view, key) for key in batch], args=arguments)
        left |= {batch[place] for place in places}
        after_batch()
    return left


def commit(redis: RedisRows, fence: str, refused: str, token: str, after: str, made: Commit, *, lease_ms: int) -> None:
    """Write all of `made` if the partition is still held and stands at `after`, or nothing.

    Raises:
        FencedError: it is held by another updater by now, was moved, or a row was changed by somebody else.
    """
    rows = [(view, key, row) for view, table in made.rows for key, row in table.items()]
    keys: list[Word] = [fence, *(redis.key(view, key) for view, key, _ in rows)]
    keys += [each.key for each in made.remembered]
    arguments: list[Word] = [token, after, made.position, made.count, lease_ms]
    arguments += [made.newest.get(stream, "") for stream in ("events", "labels")]
    arguments += [len(rows), len(made.remembered)]
    arguments += [word for view, _, row in rows for word in _words(redis, view, row)]
    arguments += [word for each in made.remembered for word in (each.value, each.milliseconds)]
    arguments.append(len(made.refused))
    arguments += [word for reason, record in made.refused for word in (_MOST_REFUSED, reason, record)]
    script: Any = redis.client.register_script(scripts.COMMIT)
    said: Any = script(keys=[*keys, refused], args=arguments)
    if said != b"done":
        raise FencedError(
            f"nothing was written to {fence}: {_SAID[said.decode()]}",
            "the partition is claimed anew, or left to others",
        )


_SAID = {
    "fenced": "another updater has taken over",
    "moved": "it stands elsewhere by now",
    "changed": "a row was written by somebody else",
}


def _words(redis: RedisRows, view: FeatureView, row: Row) -> list[Word]:
    """A row as the scripts take it: its guard, and its fields."""
    values = to_values(row)
    fields: list[Word] = [*redis.words(view, values, version_time(row.version))]
    if row.order is not None:
        order = f"_order:{view.name}"
        return [">", order, row.order, len(fields) + 2, *fields, order, row.order]
    if row.replaces is None:
        return ["*", "", "", len(fields), *fields]
    there = b"" if isinstance(row.replaces, Nothing) else row.replaces[VERSION].SerializeToString()
    return ["=", redis.field(view, VERSION), there, len(fields), *fields]
