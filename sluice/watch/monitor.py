"""Look at the last whole window of a served version: what moved, what it is worth, and whether that violates it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from sluice.errors import RegistryError
from sluice.features.schema import FeatureSchema
from sluice.ingest import Ingested, ingest
from sluice.registry import Registry
from sluice.registry.servable import Servable, load_champion
from sluice.settings import UseCase
from sluice.steps import Progress, silent
from sluice.watch import performance
from sluice.watch.answered import answered, feature_table
from sluice.watch.drift import Drift, run_task, write_task
from sluice.watch.performance import DayFigures, Known
from sluice.watch.promise import Promise, read_promise
from sluice.watch.records import Span, latest_span, read_window, read_windows, record_window
from sluice.watch.reference import read_reference


@dataclass(frozen=True)
class Gathered:
    """What is known of the champion at an instant, before the detectors are asked.

    Attributes:
        at: the instant.
        span: the last whole window.
        window: its feature rows: `event_time`, the schema's features, `score`.
        answers: how many of its events were answered, with or without features.
        known: the answers of the last days with the labels that had arrived.
        recorded: the window's document where an earlier run has recorded it.
    """

    use_case: UseCase
    version: str
    schema: FeatureSchema
    at: datetime
    span: Span
    window: pl.DataFrame
    answers: int
    known: Known
    promise: Promise
    recorded: dict[str, Any] | None

    @property
    def wants_detectors(self) -> bool:
        """Whether there is anything to test: the window is not recorded yet, and holds enough rows."""
        return self.recorded is None and self.window.height >= self.use_case.watch.min_rows


@dataclass(frozen=True)
class Watched:
    """What was found.

    Attributes:
        window: the window's document as it is recorded (`sluice.watch.records`).
        repeated: whether an earlier run had recorded it.
        drift: the detectors' finding with its rows; None where they were not asked.
        days: each event day, by what is known now.
        pooled: the mature days together, by what is known now.
        history: the documents of the version's windows up to this one.
    """

    gathered: Gathered
    window: dict[str, Any]
    repeated: bool
    drift: Drift | None
    days: list[DayFigures]
    pooled: dict[str, Any]
    error: dict[str, Any]
    history: list[dict[str, Any]]


def gather(
    registry: Registry, use_case: UseCase, *, at: datetime, now: datetime, progress: Progress = silent
) -> Gathered:
    """Read the ledger, the labels that had arrived `at`, and what the gate promised of the champion.

    Args:
        now: the wall clock; not before `at`.

    Raises:
        RegistryError: nothing is live, or `at` lies ahead.
        DataError, StoreError: the labels or the ledger cannot be read. WatchError: nothing tells of the promise.
    """
    if at > now:
        raise RegistryError(f"{at:%Y-%m-%d %H:%M} UTC lies ahead", "watch from now, or from an instant that is past")
    with TemporaryDirectory(prefix="sluice-champion-") as folder:
        servable = load_champion(registry, Path(folder) / "version")
    progress("labels", 0, 3, "events, and labels that have arrived")
    seen = ingest(use_case.until(at), now=now)
    progress("ledger", 1, 3, "what the champion answered")
    settings = use_case.watch
    span = latest_span(at, settings.window, settings.settle)
    first = min(span.start, _midnight(at) - timedelta(days=settings.performance.days))
    found = answered(registry.store, use_case, servable.digest, first, at, events=seen.events, now=now)
    progress("promise", 2, 3, "what the gate promised")
    return _gathered(registry, use_case, servable, seen, found, at, span)


def judge(registry: Registry, gathered: Gathered, drift: Drift | None) -> Watched:
    """Put together what was found, and record the window unless an earlier run did."""
    use_case, store = gathered.use_case, registry.store
    days = performance.day_figures(use_case, gathered.known, gathered.promise, gathered.at)
    pooled = performance.pooled(use_case, gathered.known, days, gathered.promise)
    error = performance.estimate_error(days, use_case.gate.metric)
    before = read_windows(store, use_case.name, gathered.version, until=gathered.span.end)
    window = gathered.recorded
    if window is None:
        window = record_window(store, _document(gathered, drift, days, pooled, error, before))
        before = [*before, window]
    return Watched(gathered, window, gathered.recorded is not None, drift, days, pooled, error, before)


def watch(
    registry: Registry,
    use_case: UseCase,
    *,
    at: datetime,
    now: datetime,
    python: Path | None = None,
    progress: Progress = silent,
) -> Watched:
    """`gather`, the detectors in the other environment, and `judge`.

    Args:
        python: the other environment's interpreter.

    Raises:
        As `gather`; WatchError: the detectors cannot judge the window.
    """
    gathered = gather(registry, use_case, at=at, now=now, progress=progress)
    if not gathered.wants_detectors:
        return judge(registry, gathered, None)
    with TemporaryDirectory(prefix="sluice-drift-") as folder:
        lay_out(registry, gathered, Path(folder))
        return judge(registry, gathered, run_task(Path(folder), python=python, progress=progress))


def lay_out(registry: Registry, gathered: Gathered, folder: Path) -> None:
    """Write the detectors' task (`sluice.watch.drift`) into a folder; where they are not wanted, one without a test.

    Raises:
        WatchError: the version has no reference.
    """
    use_case = gathered.use_case
    reference = read_reference(registry, gathered.version) if gathered.wants_detectors else None
    write_task(folder, use_case.watch, gathered.schema, reference, gathered.window, seed=use_case.seed)


def _gathered(
    registry: Registry,
    use_case: UseCase,
    servable: Servable,
    seen: Ingested,
    found: pl.DataFrame,
    at: datetime,
    span: Span,
) -> Gathered:
    cut = servable.threshold
    within = found.filter((pl.col("event_time") >= span.start) & (pl.col("event_time") < span.end))
    known = performance.known_at(found, seen.labels, seen.events, use_case, at, cut)
    names = performance.metric_names(use_case)
    promise = read_promise(registry, use_case, servable.digest, seen.events, names, cut)
    recorded = read_window(registry.store, use_case.name, servable.digest, span.end)
    window = feature_table(within, servable.schema)
    return Gathered(
        use_case, servable.digest, servable.schema, at, span, window, within.height, known, promise, recorded
    )


def _document(
    gathered: Gathered,
    drift: Drift | None,
    days: list[DayFigures],
    pooled: dict[str, Any],
    error: dict[str, Any],
    before: list[dict[str, Any]],
) -> dict[str, Any]:
    found = drift.document if drift is not None else None
    faults = (
        [{"feature": part["feature"], "fault": part["fault"]} for part in found["features"] if part["fault"]]
        if found
        else []
    )
    # The same days again, because no label came since, are no second violation.
    stale = any(one["performance"]["through"] == pooled["through"] for one in before)
    performed = pooled | {"verdict": "unknown" if stale else pooled["verdict"]}
    violated = [
        name for name, bad in (("drift", _moved(found)), ("performance", performed["verdict"] == "fallen")) if bad
    ]
    return {
        "model": gathered.use_case.name,
        "version": gathered.version,
        "start": gathered.span.start.isoformat(),
        "end": gathered.span.end.isoformat(),
        "at": gathered.at.isoformat(),
        "answers": gathered.answers,
        "tested": gathered.window.height if drift is not None else 0,
        "verdict": _verdict(faults, violated, found, performed),
        "violated": violated,
        "faults": faults,
        "drift": found,
        "performance": performed,
        "days": [day.document() for day in days],
        "estimate_error": error,
        "promise": {"decision": gathered.promise.decision, "rows": gathered.promise.rows},
    }


def _verdict(faults: list[Any], violated: list[str], drift: Any, performed: dict[str, Any]) -> str:
    if faults:
        return "data-fault"
    if violated:
        return "violated"
    return "quiet" if drift is not None or performed["verdict"] == "kept" else "thin"


def _moved(drift: dict[str, Any] | None) -> bool:
    """Faults apart: a broken column is no drift, whatever else it moves."""
    return drift is not None and drift["verdict"] == "drift"


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
