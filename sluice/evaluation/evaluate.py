"""One JSON document that says what a score is worth on some rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.evaluation.bootstrap import cluster_bootstrap, clusters_of
from sluice.evaluation.calibration import reliability
from sluice.evaluation.context import DAY_US, Context, context_of
from sluice.evaluation.curves import confusion, ranking_curves, residual_histogram, score_histogram
from sluice.evaluation.metrics import metric
from sluice.evaluation.slices import slices_of
from sluice.evaluation.threshold import choose_threshold
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER

__all__ = ["choose_threshold", "evaluate", "metrics_of", "slice_metric"]

FORMAT = 1
Floats = npt.NDArray[np.float64]


def evaluate(
    use_case: UseCase,
    rows: pl.DataFrame,
    label: Any,
    score: Any,
    *,
    threshold: float | None,
    seed: int,
    labels: pl.DataFrame | None = None,
    parts: bool = True,
) -> dict[str, Any]:
    """Every metric of the task with its interval, by slice and by day, and what plots are drawn from.

    Args:
        rows: `event_time`, entities and slice columns, in the order of label [n] and score ([n], [n x classes]).
        threshold: chosen on validation (`choose_threshold`); None: 0.5.
        labels: the label stream from which card precision knows compromised cards; default: the rows' own labels.
        parts: False leaves slices and days out.

    Returns:
        `metrics`: {name: {estimate, low, high, error}}; `slices`: a list of {column, value, rows, mean_label,
        metrics}; `days`: a list of {day, rows, mean_label, metrics}; `calibration`, `curves`, `histogram` for a
        binary task, `confusion` for classes, `residuals` for a regression. Undefined figures are null.
    """
    label, score = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    context = context_of(use_case, rows, labels=labels, threshold=0.5 if threshold is None else threshold)
    bootstrap = use_case.evaluation.bootstrap
    clusters = clusters_of(bootstrap.cluster, rows)
    cut = _Cut(use_case, label, score, clusters, context, seed)
    return {
        "format": FORMAT,
        "task": use_case.task,
        "rows": len(label),
        "mean_label": _finite(label.mean() if len(label) else np.nan),
        "threshold": threshold,
        "cluster": bootstrap.cluster,
        "clusters": len(np.unique(clusters)),
        "confidence": bootstrap.confidence,
        "resamples": bootstrap.resamples,
        "metrics": cut.metrics(_names(use_case)),
        "slices": _slices(use_case, rows, cut) if parts else [],
        "days": _days(use_case, rows, cut) if parts else [],
        **_shapes(use_case, label, score, context),
    }


def metrics_of(
    use_case: UseCase,
    rows: pl.DataFrame,
    label: Any,
    score: Any,
    *,
    threshold: float | None = None,
    labels: pl.DataFrame | None = None,
) -> dict[str, float | None]:
    """Every metric of the task, without intervals; arguments as in `evaluate`."""
    context = context_of(use_case, rows, labels=labels, threshold=0.5 if threshold is None else threshold)
    return {n: _finite(metric(n, use_case.task, label, score, context=context)) for n in _names(use_case)}


class _Cut:
    """Rows with all that a metric needs; a mask cuts it."""

    def __init__(
        self,
        use_case: UseCase,
        label: Floats,
        score: Floats,
        clusters: npt.NDArray[np.int64],
        context: Context,
        seed: int,
    ) -> None:
        self._use_case, self._seed = use_case, seed
        self.label, self._score, self._clusters, self._context = label, score, clusters, context

    def take(self, mask: npt.NDArray[np.bool_]) -> _Cut:
        return _Cut(
            self._use_case,
            self.label[mask],
            self._score[mask],
            self._clusters[mask],
            self._context.take(mask),
            self._seed,
        )

    def metrics(self, names: list[str]) -> dict[str, dict[str, float | None]]:
        bootstrap = self._use_case.evaluation.bootstrap
        found = cluster_bootstrap(
            names, self._use_case.task, self.label, self._score, clusters=self._clusters,
            resamples=bootstrap.resamples, confidence=bootstrap.confidence, seed=self._seed, context=self._context,
        )  # fmt: skip
        return {name: interval.document() for name, interval in found.items()}

    def values(self, names: list[str]) -> dict[str, float | None]:
        task = self._use_case.task
        return {n: _finite(metric(n, task, self.label, self._score, context=self._context)) for n in names}


def _names(use_case: UseCase) -> list[str]:
    without = set() if use_case.evaluation.card_precision else {"card_precision"}
    return [name for name in HIGHER_IS_BETTER[use_case.task] if name not in without]


def _judged(use_case: UseCase) -> list[str]:
    calibration = ["calibration_error"] if use_case.task == "binary" else []
    return list(dict.fromkeys([use_case.gate.metric, use_case.training.metric, *calibration]))


def slice_metric(use_case: UseCase) -> str:
    """The metric that slices are looked at by: the gate's, or the nearest that is no figure of whole days."""
    wanted = (use_case.gate.metric, use_case.training.metric, "average_precision")
    return next(name for name in wanted if name != "card_precision")


def _slices(use_case: UseCase, rows: pl.DataFrame, cut: _Cut) -> list[dict[str, Any]]:
    # A card's best transaction may lie in another slice: card precision is a figure of whole days.
    names = list(dict.fromkeys([slice_metric(use_case), *_judged(use_case)]))
    names = [name for name in names if name != "card_precision"]
    found = []
    for part in slices_of(use_case, rows):
        inside = cut.take(part.mask)
        counts = {"rows": len(inside.label), "mean_label": float(inside.label.mean())}
        found.append({"column": part.column, "value": part.value, **counts, "metrics": inside.metrics(names)})
    return found


def _days(use_case: UseCase, rows: pl.DataFrame, cut: _Cut) -> list[dict[str, Any]]:
    if use_case.data.columns.event_time is None:
        return []
    times = rows.get_column("event_time")
    day = times.dt.timestamp("us").to_numpy() // DAY_US
    found = []
    for value in np.unique(day):
        inside = cut.take(day == value)
        counts = {"rows": len(inside.label), "mean_label": float(inside.label.mean())}
        name = str(np.datetime64(int(value), "D"))
        found.append({"day": name, **counts, "metrics": inside.values(_judged(use_case))})
    return found


def _shapes(use_case: UseCase, label: Floats, score: Floats, context: Context) -> dict[str, Any]:
    if not len(label):
        return {}
    if use_case.task == "binary":
        return {
            "calibration": reliability(label, score, context.bins),
            "curves": ranking_curves(label, score),
            "histogram": score_histogram(label, score),
        }
    if use_case.task == "multiclass":
        return {"confusion": confusion(label, score), "classes": use_case.data.labels.classes}
    return {"residuals": residual_histogram(label, score)}


def _finite(value: float | np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
