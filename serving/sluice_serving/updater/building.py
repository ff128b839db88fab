"""An updater for the feature services of one or more use cases (a champion's, a challenger's), ready to run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from sluice.errors import SettingsError
from sluice.features.online import OnlineFeatures
from sluice.features.opened import Opened
from sluice.features.repository import read_repository, service_of
from sluice.settings import UseCase
from sluice.steps import Progress, silent
from sluice.updates.fence import Fence
from sluice.updates.redis_source import RedisSource
from sluice.updates.source import partitions_of
from sluice_serving.updater.follower import Follower
from sluice_serving.updater.metrics import Metrics
from sluice_serving.updater.rebuilding import History, Part, Rebuilt, rebuild
from sluice_serving.updater.records import RecordReader
from sluice_serving.updater.service import Service


def with_service(use_case: UseCase, service: str) -> UseCase:
    """The use case with another feature service of its repository."""
    features = use_case.features.model_copy(update={"service": service})
    return use_case.model_copy(update={"features": features})


def check_followed(use_case: UseCase) -> None:
    """Refuse what an updater could not keep equal to training.

    Raises:
        SettingsError: the store is no Redis, there are no windows, or labels would have to come of themselves.
    """
    features, problems = use_case.features, []
    if features.online.store != "redis" or not features.online.address:
        problems.append("features.online: an updater needs store: redis and its address")
    if features.repo is None or features.service is None:
        problems.append("features: without repo and service there is no state to keep fresh")
    if use_case.data.columns.event_time is None:
        problems.append("data.columns.event_time: a stream needs the time of its events")
    if use_case.data.labels.negative_after is not None:
        problems.append(
            "data.labels.negative_after: nobody sends the labels that it makes; send negatives as label events"
        )
    if problems:
        raise SettingsError("updater", problems)


def build(
    use_cases: Sequence[UseCase],
    work: Path,
    *,
    name: str,
    registry: CollectorRegistry,
    say: Callable[[str], None],
    root: Path | None = None,
    pseudonym_key: bytes | None = None,
) -> Service:
    """An updater of each use case's feature service. The first one's settings say where the stream is.

    Args:
        work: folder for the register of the online store; nothing in it has to be kept.
        root: folder that `features.repo` is relative to; default: the working directory.

    Raises:
        SettingsError: see `check_followed`.
        FeatureError: the repository cannot be read.
    """
    first = use_cases[0]
    source, metrics = RedisSource(first), Metrics(registry)
    followers = []
    for use_case in use_cases:
        check_followed(use_case)
        opened = _open(use_case, work / str(use_case.features.service), root)
        reader = _reader(use_case, opened, pseudonym_key)
        batch = use_case.features.online.updates.batch
        followers += [
            Follower(opened, part.partition, part.fence, source, reader, metrics, batch=batch, clock=time.time)
            for part in _parts(first, opened)
        ]
    return Service(followers, source, name=name, hold=first.features.online.updates.hold, say=say)


def rebuilt(
    use_case: UseCase,
    folder: Path,
    history: History,
    *,
    fresh: bool = False,
    root: Path | None = None,
    progress: Progress = silent,
) -> Rebuilt:
    """The state of a use case's feature service made anew from history: see `rebuilding.rebuild`.

    An embedded store has no stream to hold: there history alone is written.
    """
    online = OnlineFeatures.open(use_case, folder, root=root)
    if use_case.features.online.store != "redis":
        started = time.monotonic()
        events, labels = history()
        read = time.monotonic()
        return Rebuilt(online.materialise(events, labels, progress), read - started, time.monotonic() - read)
    check_followed(use_case)
    opened = _open(use_case, folder, root)
    parts, source, reader = _parts(use_case, opened), RedisSource(use_case), _reader(use_case, opened, None)
    return rebuild(online, opened, parts, source, reader, history, fresh=fresh, progress=progress)


def _open(use_case: UseCase, folder: Path, root: Path | None) -> Opened:
    repository = read_repository(Path(root or "") / str(use_case.features.repo))
    return Opened.at(use_case, repository, service_of(repository, str(use_case.features.service)), folder)


def _reader(use_case: UseCase, opened: Opened, pseudonym_key: bytes | None) -> RecordReader:
    return RecordReader(use_case, [part.view for part in opened.parts], pseudonym_key)


def _parts(use_case: UseCase, opened: Opened) -> list[Part]:
    updates = use_case.features.online.updates
    lease_ms = updates.lease // timedelta(milliseconds=1)
    return [Part(p, Fence(opened.store, p, updates.partitions, lease_ms)) for p in partitions_of(use_case)]
