"""A model's life over some weeks: which version answered, what each was worth, what moved, what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.errors import WatchError
from sluice.ingest import Ingested, ingest
from sluice.registry import Decision, Registry, why
from sluice.registry.version import threshold_of
from sluice.settings import UseCase
from sluice.steps import Progress, silent
from sluice.watch import performance
from sluice.watch.acting import KINDS
from sluice.watch.answered import answered
from sluice.watch.performance import DayFigures
from sluice.watch.promise import Promise, read_promise
from sluice.watch.records import ROOT, read_windows


@dataclass(frozen=True)
class Chapter:
    """The time of one version.

    Attributes:
        first, last: of the events that it answered, by their own time.
        days: each event day that it answered, by what is known at the timeline's instant.
        windows: the documents that the monitor recorded of it.
    """

    version: str
    first: datetime
    last: datetime
    answers: int
    promise: Promise
    days: list[DayFigures]
    windows: list[dict[str, Any]]


@dataclass(frozen=True)
class Act:
    """An alert or a training run of the monitor's. `verdict` is the gate's entry about the run, None without one."""

    at: datetime
    decision: Decision
    verdict: dict[str, Any] | None


@dataclass(frozen=True)
class Timeline:
    """The chapters in the order of their first answers, what was done meanwhile, and `sluice why` in words."""

    use_case: UseCase
    since: datetime
    at: datetime
    chapters: list[Chapter]
    acts: list[Act]
    why: str

    @property
    def metric(self) -> str:
        """The gate's metric, which performance is told in."""
        return self.use_case.gate.metric

    @property
    def windows(self) -> list[dict[str, Any]]:
        """The windows of all versions, in the order of their ends."""
        return sorted((one for chapter in self.chapters for one in chapter.windows), key=lambda one: str(one["end"]))


def read_timeline(
    registry: Registry, use_case: UseCase, *, since: datetime, at: datetime, now: datetime, progress: Progress = silent
) -> Timeline:
    """What ledger, labels and log tell of the versions that the monitor has looked at.

    Args:
        since: events of earlier times are left out.
        at: labels that arrive later are not seen.
        now: the wall clock; not before `at`.

    Raises:
        DataError, StoreError: the labels or the ledger cannot be read.
        WatchError: the monitor has recorded nothing, or nothing tells of a version's promise.
    """
    root = f"{ROOT}/{use_case.name}/windows/"
    versions = sorted({key.removeprefix(root).split("/")[0] for key in registry.store.keys(root)})
    if not versions:
        raise WatchError(f"nothing is recorded of {use_case.name}", "`sluice monitor` looks at its windows")
    progress("timeline", 0, len(versions) + 1, "events, and labels that have arrived")
    seen = ingest(use_case.until(at), now=now)
    found = []
    for number, version in enumerate(versions, 1):
        progress("timeline", number, len(versions) + 1, f"what version {version[:12]} answered")
        found.append(_chapter(registry, use_case, version, seen, since, at, now))
    chapters = sorted((one for one in found if one is not None), key=lambda one: one.first)
    if not chapters:
        raise WatchError(f"{use_case.name} has answered nothing since {since:%Y-%m-%d}", "name an earlier day")
    return Timeline(use_case, since, at, chapters, _acts(registry, since, at), str(why(registry)["text"]))


def _chapter(
    registry: Registry,
    use_case: UseCase,
    version: str,
    seen: Ingested,
    since: datetime,
    at: datetime,
    now: datetime,
) -> Chapter | None:
    cut = threshold_of(registry.version(version).document)
    found = answered(registry.store, use_case, version, since, at, events=seen.events, now=now)
    if found.is_empty():
        return None
    promise = read_promise(registry, use_case, version, seen.events, [use_case.gate.metric], cut)
    known = performance.known_at(found, seen.labels, seen.events, use_case, at, cut)
    days = performance.day_figures(use_case, known, promise, at, names=[use_case.gate.metric])
    windows = read_windows(registry.store, use_case.name, version, until=at)
    time = found.get_column("event_time")
    first, last = time.min(), time.max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    return Chapter(version, first, last, found.height, promise, days, windows)


def _acts(registry: Registry, since: datetime, at: datetime) -> list[Act]:
    verdicts = {one["trigger"]["number"]: one["verdict"] for one in why(registry)["retrainings"]}
    acts = [
        Act(datetime.fromisoformat(one.figures["at"]), one, verdicts.get(one.number))
        for one in registry.log()
        if one.kind in KINDS
    ]
    return [act for act in acts if since <= act.at <= at]
