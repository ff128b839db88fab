"""A lost online store from history, while answers say that they are stale; the updater then goes on from the stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from sluice.errors import FencedError
from sluice.features.online import OnlineFeatures
from sluice.features.opened import Opened
from sluice.features.updater import Materialised
from sluice.features.updater import newest as newest_of
from sluice.steps import Progress, silent
from sluice.updates.fence import Fence, HeldUpError, Hold
from sluice.updates.source import Partition, Source
from sluice_serving.updater.records import RecordReader

History = Callable[[], tuple[pl.DataFrame, pl.DataFrame]]
_NAME = "rebuild-online"


@dataclass(frozen=True)
class Rebuilt:
    """What was written, and how many seconds reading history and writing state took."""

    materialised: Materialised
    history_seconds: float
    state_seconds: float


@dataclass(frozen=True)
class Part:
    """A partition whose state is made anew."""

    partition: Partition
    fence: Fence


def rebuild(
    online: OnlineFeatures,
    opened: Opened,
    parts: Sequence[Part],
    source: Source,
    reader: RecordReader,
    history: History,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    seconds: Callable[[], float] = time.monotonic,
) -> Rebuilt:
    """Hold the stream, read history, write the state of all keys, and let updaters go on from what the stream holds.

    Answers are marked stale from the first moment until history is in state, and then as long as its end is further
    back than `serving.stale_after`. A key whose state is newer than history is left alone.

    Args:
        history: reads events and labels; it is called when the stream already holds what comes from now on.
        fresh: remove what is left of the state first.

    Raises:
        HeldUpError: history ends before the stream begins.
        FeatureError: Redis does not answer.
    """
    before = {part.partition: part.fence.progress().newest for part in parts}
    for part in parts:
        source.follow(part.partition, opened.store.project)
    with _held(parts):
        opened.store.erase(opened.streams, opened.stream_names)
        started = seconds()
        events, labels = history()
        read = seconds()
        reached = newest_of(events, labels)
        for part in parts:
            _check(part, source, reader, before[part.partition], reached)
            part.fence.reset()
        if fresh:
            opened.store.erase_all()
        done = online.materialise(events, labels, progress)
        return Rebuilt(done, read - started, seconds() - read)


def _check(part: Part, source: Source, reader: RecordReader, before: dict[str, int], reached: dict[str, int]) -> None:
    standing = source.standing(part.partition)
    needed = before
    if standing.dropped and standing.first is not None:
        batch = reader.read(part.partition, [standing.first])
        needed = newest_of(batch.events, batch.labels) or before
    elif not standing.dropped:
        return
    for stream, time_us in needed.items():
        if reached.get(stream, time_us) < time_us:
            raise HeldUpError(
                f"history ends before the stream of {part.partition.entity} {part.partition.number} begins: its "
                f"{stream} reach {_instant(reached[stream])}, and those after it until {_instant(time_us)} are gone",
                "give it newer history: --source or --history",
            )


@contextmanager
def _held(parts: Sequence[Part]) -> Iterator[None]:
    """Take the partitions from whoever has them, and keep them while the block lasts."""
    holds: list[Hold] = []
    for part in parts:
        hold = part.fence.claim(_NAME, force=True)
        assert hold is not None
        holds.append(hold)
    done = threading.Event()
    lost: list[str] = []

    def stay() -> None:
        while not done.wait(min(part.fence.lease_seconds for part in parts) / 3):
            lost.extend(p.fence.name for p, hold in zip(parts, holds, strict=True) if not p.fence.stay(hold))

    thread = threading.Thread(target=stay, name="holding", daemon=True)
    thread.start()
    try:
        yield
        if lost:
            raise FencedError(f"another rebuild took {', '.join(lost)} over", "let that one finish")
    finally:
        done.set()
        thread.join()
        for part, hold in zip(parts, holds, strict=True):
            part.fence.release(hold)


def _instant(time_us: int) -> str:
    return str(pl.Series([time_us]).cast(pl.Datetime("us"))[0])
