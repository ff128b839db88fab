"""One partition of the stream into the state of one feature service: read, apply, write with the position, go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from sluice.errors import FencedError
from sluice.features.ledger import RedisLedger
from sluice.features.opened import Opened
from sluice.features.redis_writes import Commit
from sluice.features.updater import newest
from sluice.updates.fence import Fence, HeldUpError, Hold
from sluice.updates.source import START, Entry, Partition, Source, Standing
from sluice_serving.updater.metrics import Metrics
from sluice_serving.updater.records import Batch, RecordReader


class Follower:
    """Applies a partition as long as it holds it.

    Args:
        batch: records that are applied together at most.
    """

    def __init__(
        self,
        opened: Opened,
        partition: Partition,
        fence: Fence,
        source: Source,
        reader: RecordReader,
        metrics: Metrics,
        *,
        batch: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.opened, self.partition, self.fence = opened, partition, fence
        self._source, self._reader, self._metrics = source, reader, metrics
        self._batch, self._clock = batch, clock
        self.hold: Hold | None = None
        self._let_go = ""

    @property
    def service(self) -> str:
        """The feature service whose state this is."""
        return self.opened.service.name

    @property
    def follower(self) -> str:
        """What the stream knows it by."""
        return self.opened.store.project

    def claim(self, who: str) -> bool:
        """Hold the partition; False where another updater does.

        Raises:
            NoStateError: there is nothing to keep fresh yet.
            HeldUpError: the stream has let go of records that this state lacks.
            FeatureError: Redis does not answer.
        """
        hold = self.fence.claim(who)
        if hold is None:
            return False
        try:
            standing = self._source.standing(self.partition)
            if not hold.position:
                hold = self._begin(hold, standing)
            elif standing.dropped > hold.count:
                raise self._gap(f"{standing.dropped - hold.count:,} records")
        except HeldUpError:
            self.fence.release(hold)
            raise
        self.hold = hold
        return True

    def waiting(self) -> int:
        """How many records wait to be applied."""
        assert self.hold is not None
        return max(self._source.standing(self.partition).added - self.hold.count, 0)

    def step(self) -> int:
        """Apply what is there, at most a batch; how many records that were.

        Raises:
            FencedError: another updater has taken over; nothing was written.
            FeatureError: Redis does not answer.
        """
        assert self.hold is not None
        entries = self._source.read(self.partition, self.hold.position, self._batch)
        if entries:
            self._apply(entries)
        return len(entries)

    def look_after(self) -> None:
        """Keep the hold, tell the stream what may go, and note where the partition stands.

        Raises:
            FencedError: another updater has taken over.
        """
        hold = self.hold
        assert hold is not None
        if not self.fence.stay(hold):
            raise FencedError(f"{self.fence.name}: another updater has taken over", "it goes on there")
        if hold.position != self._let_go:
            self._source.let_go(self.partition, self.follower, hold.position, hold.count)
            self._let_go = hold.position
        waiting = self.waiting()
        first = self._source.read(self.partition, hold.position, 1) if waiting else []
        seconds = self._clock() - first[0].accepted if first else 0.0
        self._metrics.standing(self.service, self.partition, held=True, waiting=waiting, seconds=seconds)

    def release(self) -> None:
        """Let another updater have it at once."""
        if self.hold is not None:
            self.fence.release(self.hold)
            self.lost()

    def lost(self) -> None:
        """It is another's, or has to be claimed anew."""
        self.hold = None
        self._metrics.standing(self.service, self.partition, held=False, waiting=0, seconds=0.0)

    def _apply(self, entries: list[Entry]) -> None:
        assert self.hold is not None
        batch = self._reader.read(self.partition, entries)
        updater = self.opened.updater
        changed = updater.changed(self.partition.entity, batch.events, batch.labels)
        ledger, remembered = updater.ledger, []
        if batch.labels is not None and isinstance(ledger, RedisLedger):
            remembered = ledger.remembered(self.partition.entity, batch.labels, updater.keep_labels_us)
        made = Commit(
            position=entries[-1].position,
            count=self.hold.count + len(entries),
            rows=changed.rows,
            remembered=remembered,
            newest=_newest(batch),
            refused=batch.refused,
        )
        try:
            self.hold = self.fence.commit(self.hold, made)
        except FencedError:
            self._metrics.fenced(self.service, self.partition)
            raise
        for stream, counted in changed.counted.items():
            self._metrics.applied(self.service, self.partition, stream, counted)
        self._metrics.refused(self.service, self.partition, len(batch.refused))
        self._metrics.fresh(self.service, self.partition, entries, self._clock())

    def _begin(self, hold: Hold, standing: Standing) -> Hold:
        """The hold at the start of what the stream still has, if history reaches that far."""
        reached = self.opened.store.watermarks(self.opened.streams, self.opened.stream_names)
        if not reached:
            raise NoStateError(self.service)
        if not self._source.follows(self.partition, self.follower):
            if standing.dropped and not self._is_known(standing.first, {s: time for s, (time, _) in reached.items()}):
                raise self._gap("some records")
            self._source.follow(self.partition, self.follower)
        return self.fence.commit(hold, Commit(START, standing.dropped))

    def _is_known(self, first: Entry | None, reached: dict[str, int]) -> bool:
        """Whether history reaches as far as the oldest record that is still there."""
        if first is None:
            return False
        found = _newest(self._reader.read(self.partition, [first]))
        return bool(found) and all(time <= reached.get(stream, time) for stream, time in found.items())

    def _gap(self, what: str) -> HeldUpError:
        return HeldUpError(
            f"the stream of {self.partition.entity} {self.partition.number} has let go of {what} that the state of "
            f"{self.service} was not given",
            "`sluice rebuild-online` brings them from history",
        )


class NoStateError(HeldUpError):
    """There is no state to keep fresh yet."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"there is no state of {service} yet",
            "the pipeline's step materialise makes it, or `sluice rebuild-online`; the updater waits for it",
        )


def _newest(batch: Batch) -> dict[str, int]:
    found = newest(batch.events, batch.labels)
    if batch.until is not None:
        found = {stream: max(found.get(stream, 0), batch.until) for stream in ("events", "labels")}
    return found
