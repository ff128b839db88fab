"""What a served version is worth by event day, as labels arrive: measured where they are there, else estimated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.evaluation.bootstrap import Interval
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER
from sluice.watch.estimate import expected
from sluice.watch.promise import Promise, intervals

Floats = npt.NDArray[np.float64]
DAY = timedelta(days=1)
BESIDE = {
    "binary": ("average_precision", "roc_auc", "precision", "recall", "brier"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("mae", "rmse"),
}
"""What is shown beside the gate's metric."""


@dataclass(frozen=True)
class Known:
    """Answers of a version with what is known of them at an instant.

    Attributes:
        rows: one row an event in order of time: `event_id`, `event_time`, the entities, `label` and `label_time`
            (null where none has arrived).
        score: float64 [rows] or [rows x classes].
        threshold: scores from here on count as positive.
    """

    rows: pl.DataFrame
    score: Floats
    threshold: float

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which rows have a label, bool [rows]."""
        return self.rows.get_column("label").is_not_null().to_numpy()

    def take(self, mask: npt.NDArray[np.bool_]) -> Known:
        """The rows that a mask keeps."""
        return Known(self.rows.filter(pl.Series(mask, dtype=pl.Boolean)), self.score[mask], self.threshold)


@dataclass(frozen=True)
class DayFigures:
    """One event day (UTC).

    Attributes:
        answers, labelled: events that were answered, and those whose label has arrived.
        mature: whether enough labels are there to believe `metrics`; before that they are provisional.
        metrics: by name, on the labelled rows; empty where there are too few.
        estimate: the gate's metric as scores alone make expect it, on all answers; None where there is no such form.
    """

    day: date
    answers: int
    labelled: int
    mature: bool
    metrics: dict[str, Interval]
    estimate: float | None

    def document(self) -> dict[str, Any]:
        """The JSON form; undefined figures are null."""
        return {
            "day": self.day.isoformat(),
            "answers": self.answers,
            "labelled": self.labelled,
            "mature": self.mature,
            "metrics": {name: interval.document() for name, interval in self.metrics.items()},
            "estimate": self.estimate,
        }


def metric_names(use_case: UseCase) -> list[str]:
    """The gate's metric first, then those beside it."""
    return list(dict.fromkeys([use_case.gate.metric, *BESIDE[use_case.task]]))


def known_at(
    found: pl.DataFrame, labels: pl.DataFrame, events: pl.DataFrame, use_case: UseCase, at: datetime, threshold: float
) -> Known:
    """Join answers with the labels that had arrived at an instant; of several for one event the last one counts.

    Args:
        found: as `answered.answered` gives it; answers without an event's id are left out: nothing can label them.
        labels: the label stream of ingest.
        events: of ingest, for the entities.
        at: labels that arrive later are not seen.
    """
    entities = list(use_case.data.columns.entities)
    arrived = labels.filter(pl.col("label_time") <= at).sort("label_time", "event_id", maintain_order=True)
    last = arrived.unique("event_id", keep="last").select("event_id", pl.col("label").cast(pl.Float64), "label_time")
    own = events.select("event_id", *entities).unique("event_id")
    rows = found.filter(pl.col("event_id").is_not_null() & pl.col("score").is_not_null())
    rows = rows.join(own, on="event_id", how="left", maintain_order="left")
    rows = rows.join(last, on="event_id", how="left", maintain_order="left")
    if use_case.task == "multiclass":
        classes = len(use_case.data.labels.classes)
        rows = rows.filter(pl.col("scores").list.len() == classes)
        score = np.array(rows.get_column("scores").to_list(), dtype=np.float64).reshape(-1, classes)
    else:
        score = rows.get_column("score").cast(pl.Float64).to_numpy()
    return Known(rows.select("event_id", "event_time", *entities, "label", "label_time"), score, threshold)


def day_figures(
    use_case: UseCase, known: Known, promise: Promise, at: datetime, *, names: list[str] | None = None
) -> list[DayFigures]:
    """Each event day that was answered, in order. `names`: of metrics, the gate's among them; default: all."""
    names = metric_names(use_case) if names is None else names
    day = known.rows.get_column("event_time").dt.convert_time_zone("UTC").dt.date()
    return [_day(use_case, known.take((day == one).to_numpy()), promise, one, at, names) for one in sorted(set(day))]


def pooled(use_case: UseCase, known: Known, days: list[DayFigures], promise: Promise) -> dict[str, Any]:
    """The mature days of the last window's length together, against the promise.

    Returns:
        `verdict`: `fallen` where the loss against the promise passes `max_drop` for sure (both intervals taken into
        account, one-sided at the bootstrap's confidence), `kept` where it does not, `unknown` without mature days;
        `first` and `through` (days), `rows`, `metric`, `measured`, `promised`, and `drop` {estimate, low, high}:
        positive is worse than promised whichever way the metric points.
    """
    mature = [one.day for one in days if one.mature]
    name = use_case.gate.metric
    promised = promise.metrics[name]
    empty = {"verdict": "unknown", "metric": name, "promised": promised.document(), "first": None, "through": None}
    if not mature:
        return empty | {"rows": 0, "measured": None, "drop": None}
    kept = [day for day in mature if day > mature[-1] - use_case.watch.window]
    day = known.rows.get_column("event_time").dt.convert_time_zone("UTC").dt.date()
    part = known.take(day.is_in(kept).to_numpy() & known.labelled)
    measured = _metrics(use_case, part, [name])[name]
    drop = _drop(use_case, promised, measured)
    fallen = drop["low"] is not None and drop["low"] > use_case.watch.performance.max_drop
    return empty | {
        "verdict": "unknown" if drop["low"] is None else "fallen" if fallen else "kept",
        "first": kept[0].isoformat(),
        "through": kept[-1].isoformat(),
        "rows": part.rows.height,
        "measured": measured.document(),
        "drop": drop,
    }


def estimate_error(days: list[DayFigures], metric: str) -> dict[str, Any]:
    """How far estimates lay from what labels then said, over the mature days: `days`, `mean` (estimate less measured)
    and `mean_absolute`; None without any."""
    off = [
        one.estimate - one.metrics[metric].estimate
        for one in days
        if one.mature and one.estimate is not None and np.isfinite(one.metrics[metric].estimate)
    ]
    if not off:
        return {"days": 0, "mean": None, "mean_absolute": None}
    return {"days": len(off), "mean": float(np.mean(off)), "mean_absolute": float(np.mean(np.abs(off)))}


def _day(use_case: UseCase, known: Known, promise: Promise, day: date, at: datetime, names: list[str]) -> DayFigures:
    settings = use_case.watch.performance
    labelled = known.labelled
    count = int(labelled.sum())
    ended = datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY
    enough = count >= settings.min_rows
    whole = at >= ended + settings.mature_after and count >= settings.mature_share * len(labelled)
    metrics = _metrics(use_case, known.take(labelled), names) if enough else {}
    return DayFigures(day, len(labelled), count, enough and whole, metrics, _estimate(use_case, known, promise))


def _estimate(use_case: UseCase, known: Known, promise: Promise) -> float | None:
    if promise.calibrator is None or not known.rows.height:
        return None
    probability = promise.calibrator(known.score)
    return expected(use_case.gate.metric, known.score, probability, threshold=known.threshold)


def _metrics(use_case: UseCase, known: Known, names: list[str]) -> dict[str, Interval]:
    return intervals(use_case, names, known.rows, known.score, known.threshold)


def _drop(use_case: UseCase, promised: Interval, measured: Interval) -> dict[str, float | None]:
    """Two samples of different days are independent: variances add, and the difference is taken for normal."""
    sign = 1.0 if HIGHER_IS_BETTER[use_case.task][use_case.gate.metric] else -1.0
    estimate = sign * (promised.estimate - measured.estimate)
    error = float(np.hypot(promised.error, measured.error))
    half = NormalDist().inv_cdf(use_case.evaluation.bootstrap.confidence) * error
    found = {"estimate": estimate, "low": estimate - half, "high": estimate + half}
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}
