"""Who may write the keys of a partition: one updater at a time, by a token that every write carries.

A lease alone would not do: an updater that was stopped for longer than its lease still believes that it holds it. Its
token is then an old one, and the write is refused where it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sluice.errors import FeatureError
from sluice.features import scripts
from sluice.features.online_store import StateStore, told
from sluice.features.redis_writes import Commit, commit
from sluice.updates.source import Partition


class HeldUpError(FeatureError):
    """A state cannot be kept fresh until somebody has done something."""


@dataclass(frozen=True)
class Hold:
    """A partition that is held: with which token, and up to which position and how many records it was applied.

    position: "" where nothing of the stream was applied to this state yet.
    """

    token: str
    position: str
    count: int


@dataclass(frozen=True)
class Progress:
    """How far a partition came, whoever holds it.

    position, count: the last record applied, and how many there were until it. newest: µs since 1970, by stream.
    """

    position: str
    count: int
    newest: dict[str, int]


class Fence:
    """The fence of one partition of one state (`StateStore.project`)."""

    def __init__(self, store: StateStore, partition: Partition, partitions: int, lease_ms: int) -> None:
        self._store, self._partitions, self._lease_ms = store, partitions, lease_ms
        self.name = f"{store.project}:updater:{partition.entity}:{partition.number}"

    @property
    def lease_seconds(self) -> float:
        """How long a hold lasts that is not renewed."""
        return self._lease_ms / 1000

    def claim(self, who: str, *, force: bool = False) -> Hold | None:
        """Hold the partition, None where another one does. One of the same name loses it; with `force` any other, too.

        Raises:
            HeldUpError: the state was written with another number of partitions.
            FeatureError: Redis does not answer.
        """
        said = self._run(scripts.CLAIM, who, self._lease_ms, self._partitions, int(force))
        kind, *rest = (word.decode() for word in said)
        if kind == "partitions":
            raise HeldUpError(
                f"the state of {self.name} was kept with {rest[0]} partitions, the settings say {self._partitions}",
                "set features.online.updates.partitions back, or see docs/updater.md on changing their number",
            )
        return Hold(rest[0], rest[1], int(rest[2])) if kind == "claimed" else None

    def commit(self, hold: Hold, made: Commit) -> Hold:
        """Write all of `made` with the position behind it, or nothing; the hold as it then is.

        Raises:
            FencedError: another updater was faster.
            FeatureError: Redis does not answer.
        """
        with told():
            commit(
                self._store.redis_rows,
                self.name,
                f"{self._store.project}:refused",
                hold.token,
                hold.position,
                made,
                lease_ms=self._lease_ms,
            )
        return Hold(hold.token, made.position, made.count)

    def stay(self, hold: Hold) -> bool:
        """Hold on for another lease; False: it is another's."""
        return bool(self._run(scripts.STAY, hold.token, self._lease_ms))

    def release(self, hold: Hold) -> None:
        """Let others have it at once."""
        self._run(scripts.STAY, hold.token, 0)

    def reset(self) -> None:
        """Forget how far the stream was applied: the state is made anew."""
        with told():
            self._store.redis_rows.client.hdel(self.name, "position", "count", "events", "labels")

    def progress(self) -> Progress:
        """How far it came."""
        with told():
            said: Any = self._store.redis_rows.client.hmget(self.name, ["position", "count", "events", "labels"])
        newest = {s: int(v) for s, v in zip(("events", "labels"), said[2:], strict=True) if v is not None}
        return Progress((said[0] or b"").decode(), int(said[1] or 0), newest)

    def _run(self, script: str, *arguments: Any) -> Any:
        with told():
            return self._store.redis_rows.client.register_script(script)(keys=[self.name], args=list(arguments))
