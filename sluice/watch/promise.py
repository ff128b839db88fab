"""What the gate promised of a version: its metrics on the sealed rows it was judged on, with their intervals."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.errors import RegistryError, WatchError
from sluice.evaluation.bootstrap import Interval, cluster_bootstrap, clusters_of
from sluice.evaluation.context import context_of
from sluice.promotion.evidence import METRICS, SCORES
from sluice.registry import Decision, Registry
from sluice.registry.version import threshold_of
from sluice.report.evidence import CHALLENGER, score_columns
from sluice.settings import UseCase
from sluice.watch.estimate import Calibrator

LET_THROUGH = ("promoted", "cleared", "awaiting-approval")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """The promise, and what turns a score into a probability.

    Attributes:
        decision: number of the log's entry that it rests on.
        metrics: by name, on all sealed rows: the gate's own intervals, where it stored them.
        rows, positives: counts of them; positives None where the task is not binary.
        calibrator: learned on the sealed rows; None where the task is not binary.
    """

    decision: int
    metrics: dict[str, Interval]
    rows: int
    positives: int | None
    calibrator: Calibrator | None


def read_promise(
    registry: Registry, use_case: UseCase, version: str, events: pl.DataFrame, names: Sequence[str], threshold: float
) -> Promise:
    """The promise of the newest decision that let a version through.

    Figures that the gate stored are taken as they are. Those that it did not store, or did not compute, are computed
    from the sealed scores; rows that were forgotten are then not in them.

    Args:
        events: `event_id`, `event_time` and entities: whose rows stand and fall together. Sealed rows that are not
            among them any more stand alone.
        names: metrics.
        threshold: scores from here on count as positive.

    Raises:
        WatchError: no decision holds the sealed scores of this version.
    """
    found = [d for d in registry.log() if d.version == version and d.kind in LET_THROUGH and SCORES in d.evidence]
    if not found:
        raise WatchError(
            f"nothing tells what the gate promised of version {version[:12]}",
            "its sealed scores are not among the evidence: train anew with `sluice run`",
        )
    return _promise(registry, found[-1], use_case, events, names, threshold)


def intervals(
    use_case: UseCase, names: Sequence[str], rows: pl.DataFrame, score: Floats, threshold: float
) -> dict[str, Interval]:
    """Metrics of labelled rows with intervals over whole clusters, as the settings of the evaluation have them.

    Args:
        rows: `label`, and what the settings' clusters and metrics need.
        score: float64 [rows] or [rows x classes].
        threshold: scores from here on count as positive.
    """
    settings = use_case.evaluation.bootstrap
    return cluster_bootstrap(
        names,
        use_case.task,
        rows.get_column("label").cast(pl.Float64).to_numpy(),
        score,
        clusters=clusters_of(settings.cluster, rows),
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=use_case.seed,
        context=context_of(use_case, rows, threshold=threshold),
    )


def _promise(
    registry: Registry, decision: Decision, use_case: UseCase, events: pl.DataFrame, names: Sequence[str], cut: float
) -> Promise:
    try:
        table = pl.read_parquet(io.BytesIO(registry.evidence(decision, SCORES)))
    except RegistryError as error:
        raise WatchError(error.message, "all sealed rows were forgotten: train anew with `sluice run`") from None
    rows = table.join(events.unique("event_id"), on="event_id", how="left", maintain_order="left")
    label = rows.get_column("label").cast(pl.Float64).to_numpy()
    score = np.asarray(score_columns(use_case, table)[CHALLENGER], dtype=np.float64)
    found = _stored(registry, decision, cut)
    missing = [name for name in names if name not in found]
    found |= intervals(use_case, missing, rows, score, cut) if missing else {}
    metrics = {name: found[name] for name in names}
    binary = use_case.task == "binary"
    calibrator = Calibrator.learned(label, score) if binary and len(np.unique(label)) == 2 else None
    return Promise(decision.number, metrics, len(label), int(label.sum()) if binary else None, calibrator)


def _stored(registry: Registry, decision: Decision, cut: float) -> dict[str, Interval]:
    """The intervals that the gate stored beside a decision; none where it is of an earlier release."""
    if METRICS not in decision.evidence:
        return {}
    document = json.loads(registry.evidence(decision, METRICS))
    if threshold_of(document) != cut:
        return {}
    return {name: Interval.from_document(one) for name, one in document["metrics"].items()}
