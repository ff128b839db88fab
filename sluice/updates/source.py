"""What an updater needs of a stream. Redis Streams are one; a Kafka topic an entity could be another."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sluice.settings import UseCase

Kind = Literal["event", "label", "until", ""]


@dataclass(frozen=True)
class Partition:
    """A part of the stream of one entity: the records of its keys, in order."""

    entity: str
    number: int


@dataclass(frozen=True)
class Entry:
    """A record in a partition.

    accepted: when the stream took it, seconds since 1970. body: what its producer wrote.
    kind: `event` and `label` have a JSON object, `until` an instant up to which all is there; anything else is "".
    """

    position: str
    accepted: float
    kind: Kind
    body: bytes


@dataclass(frozen=True)
class Standing:
    """Where a partition stands. added: records it ever took; dropped: those of them that it let go of; first: the
    oldest that is there; last: the position of the newest one that it ever took."""

    added: int
    dropped: int
    first: Entry | None
    last: str


class Source(Protocol):
    """A stream. Positions are its own words; `START` lies before everything."""

    def read(self, partition: Partition, after: str, count: int) -> list[Entry]:
        """At most `count` records behind a position, in order."""

    def wait(self, after: Mapping[Partition, str], seconds: float) -> None:
        """Return when there is something behind one of the positions, or after a while."""

    def standing(self, partition: Partition) -> Standing:
        """Where a partition stands."""

    def follows(self, partition: Partition, follower: str) -> bool:
        """Whether records are held for this follower."""

    def follow(self, partition: Partition, follower: str) -> None:
        """From now on hold all records that are there until `let_go` says that this follower has applied them."""

    def let_go(self, partition: Partition, follower: str, position: str, count: int) -> None:
        """The follower has applied everything up to here; what all have applied may go."""


START = "0-0"


def partitions_of(use_case: UseCase) -> tuple[Partition, ...]:
    """All partitions of a use case's stream."""
    number = use_case.features.online.updates.partitions
    return tuple(Partition(entity, i) for entity in use_case.data.columns.entities for i in range(number))


def partition_number(key: str, partitions: int) -> int:
    """Which partition holds a key: CRC-32 of its UTF-8 bytes, modulo their number, so that any language can say."""
    return zlib.crc32(key.encode()) % partitions


def stream_name(use_case: UseCase, partition: Partition) -> str:
    """The name of a partition's stream."""
    prefix = use_case.features.online.updates.stream or f"sluice:{use_case.name}"
    return f"{prefix}:{partition.entity}:{partition.number}"


def is_before(left: str, right: str) -> bool:
    """Whether one position of the form `number-number` lies before another."""
    return _numbers(left) < _numbers(right)


def earliest(positions: Sequence[str]) -> str:
    """The first of some positions of the form `number-number`."""
    return min(positions, key=_numbers)


def _numbers(position: str) -> tuple[int, int]:
    milliseconds, _, sequence = position.partition("-")
    return int(milliseconds), int(sequence or 0)
