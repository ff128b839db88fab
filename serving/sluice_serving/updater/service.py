"""The updater as a loop: claim what is free, apply what is there, sleep until more comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sluice.errors import FeatureError, FencedError
from sluice.features.updater import EVENTS, LABELS
from sluice.updates.fence import HeldUpError
from sluice.updates.source import Partition, Source, is_before
from sluice_serving.updater.follower import Follower, NoStateError

_EVERY = 1.0
"""Seconds between looks at what is not held, at lags, and at how far the streams were applied."""
_NAP = 0.5
_PAUSE = 0.5
"""Seconds after which a Redis that did not answer is asked again."""

_STUCK = 120.0
"""Seconds after which a loop that has not gone round is stuck; a few tries at a Redis that hangs take less."""


class Service:
    """Runs the followers of one or more feature services in turn.

    Args:
        name: by which this updater holds its partitions. A second one of the same name takes them over.
        hold: partitions that it holds at most, of each service.
        say: is told why something does not go on, and "" when it does.
    """

    def __init__(
        self,
        followers: Sequence[Follower],
        source: Source,
        *,
        name: str,
        hold: int | None,
        say: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.followers, self._source, self._name = list(followers), source, name
        self._hold, self._say, self._seconds, self._sleep = hold, say, seconds, sleep
        self._looked, self._turned = float("-inf"), seconds()
        self._stopping = False
        self.why_not_ready = "starting"

    def is_alive(self) -> bool:
        """Whether the loop has gone round lately; what waits for Redis goes round, too."""
        return self._seconds() - self._turned < _STUCK

    def stop(self) -> None:
        """Ask the loop to end after what it is doing."""
        self._stopping = True

    def run(self) -> None:
        """Go on until stopped; then let go of what is held."""
        while not self._stopping:
            self._turned = self._seconds()
            try:
                self.turn()
            except FeatureError as error:
                # What is held is claimed anew, from the position that the state then says.
                for follower in self.followers:
                    follower.lost()
                self.why_not_ready = str(error)
                self._say(str(error))
                self._sleep(_PAUSE)
        for follower in self.followers:
            try:
                follower.release()
            except FeatureError as error:
                self._say(f"not released, free when the lease is over: {error.message}")

    def turn(self) -> None:
        """One step of each follower that holds its partition; sleeps where there was nothing to do.

        Raises:
            FeatureError: Redis does not answer.
        """
        if self._seconds() - self._looked >= _EVERY:
            self.look()
            self._looked = self._seconds()
        applied = sum(self._guarded(follower, follower.step) or 0 for follower in self._held())
        if not applied:
            self._wait()

    def _wait(self) -> None:
        """Until a record comes. Of two services that follow a partition, the one that is behind has the word."""
        after: dict[Partition, str] = {}
        for follower in self._held():
            assert follower.hold is not None
            known = after.get(follower.partition)
            if known is None or is_before(follower.hold.position, known):
                after[follower.partition] = follower.hold.position
        self._source.wait(after, _NAP)

    def look(self) -> None:
        """Claim what is free, look after what is held, and note how far the streams were applied."""
        problems, why = [], ""
        for follower in self.followers:
            if follower.hold is None and self._may_hold(follower):
                try:
                    follower.claim(self._name)
                except HeldUpError as error:
                    problems.append(str(error))
                    why = why or ("" if isinstance(error, NoStateError) else str(error))
            if follower.hold is not None:
                self._guarded(follower, follower.look_after)
        for service in dict.fromkeys(follower.service for follower in self._held()):
            self._note_progress([f for f in self.followers if f.service == service])
        self.why_not_ready = why
        self._say(problems[0] if problems else "")

    def _may_hold(self, follower: Follower) -> bool:
        mine = [other for other in self._held() if other.service == follower.service]
        return self._hold is None or len(mine) < self._hold

    def _held(self) -> list[Follower]:
        return [follower for follower in self.followers if follower.hold is not None]

    def _guarded(self, follower: Follower, work: Callable[[], int | None]) -> int | None:
        """Work that ends, for this follower alone, where another updater was faster."""
        if follower.hold is None:
            return None
        try:
            return work()
        except FencedError as error:
            self._say(error.message)
            follower.lost()
            return None

    def _note_progress(self, followers: Sequence[Follower]) -> None:
        """Up to which instant all partitions of a service are applied.

        Where nothing waits a partition holds nobody back. Positions are read before the stream is asked for its last
        one: a record that came in between makes its partition one that waits.
        """
        progress = [follower.fence.progress() for follower in followers]
        waits = [
            p.position != self._source.standing(f.partition).last for f, p in zip(followers, progress, strict=True)
        ]
        reached = {}
        for stream in (EVENTS, LABELS):
            newest = [p.newest[stream] for p in progress if stream in p.newest]
            behind = [p.newest.get(stream) for p, waiting in zip(progress, waits, strict=True) if waiting]
            known = [time for time in behind if time is not None]
            if newest and len(known) == len(behind):
                reached[stream] = min([max(newest), *known])
        followers[0].opened.updater.reached(reached)
