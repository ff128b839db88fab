"""Intervals and paired differences by resampling whole clusters (Field and Welsh 2007; Efron and Tibshirani 1993).

Rows of one terminal or one day stand and fall together; resampling rows would promise intervals that are too narrow.
A resample draws as many clusters as there are, with replacement; a cluster's rows enter as often as it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.errors import DataError
from sluice.evaluation.card_precision import daily_card_precision
from sluice.evaluation.context import DAY_US, Context
from sluice.evaluation.metrics import Resampler, checked, resampler
from sluice.settings.metrics import HIGHER_IS_BETTER

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
POWER = 0.8
"""The smallest detectable effect is the one that is shown this often."""
_CHUNK_CELLS = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A metric with its percentile interval and standard error; NaN where resamples leave it undefined."""

    estimate: float
    low: float
    high: float
    error: float

    def document(self) -> dict[str, float | None]:
        """JSON form: NaN is null."""
        return {name: _finite(value) for name, value in asdict(self).items()}

    @staticmethod
    def from_document(document: Mapping[str, float | None]) -> Interval:
        """Inverse of `document`."""
        return Interval(**{name: float("nan") if value is None else value for name, value in document.items()})


@dataclass(frozen=True)
class Difference:
    """How much better a is than b: positive is better whichever way the metric points.

    Attributes:
        low, high: two-sided percentile interval.
        error: standard error.
        p_value: one-sided, of the hypothesis that the improvement is at most `min_effect`.
        smallest_detectable: the improvement over `min_effect` that these rows show four times in five at `alpha`.
    """

    estimate: float
    low: float
    high: float
    error: float
    p_value: float
    smallest_detectable: float

    def document(self) -> dict[str, float | None]:
        """JSON form: NaN is null."""
        return {name: _finite(value) for name, value in asdict(self).items()}


def clusters_of(cluster: str, rows: pl.DataFrame) -> Codes:
    """Each row's cluster, int64 [n]: `row`, `day` (UTC), or an entity's column; rows without entity stand alone."""
    if cluster == "row":
        return np.arange(rows.height, dtype=np.int64)
    if cluster == "day":
        day = rows.get_column("event_time").dt.timestamp("us").to_numpy() // DAY_US
        return np.unique(day, return_inverse=True)[1].astype(np.int64)
    codes = rows.get_column(cluster).rank("dense").cast(pl.Int64).fill_null(0).to_numpy().copy()
    alone = codes == 0
    codes[alone] = codes.max(initial=0) + 1 + np.arange(alone.sum())
    return codes - 1


def cluster_bootstrap(
    names: Sequence[str],
    task: str,
    label: Any,
    score: Any,
    *,
    clusters: Codes,
    resamples: int,
    confidence: float,
    seed: int,
    context: Context | None = None,
) -> dict[str, Interval]:
    """Metrics with their intervals, all from the same resamples.

    Resamples of a biased figure (the calibration error of a well calibrated score) may all lie on one side of the
    estimate; the interval is then widened to hold it.

    Args:
        label, score, context: as in `metrics.metric`.
        clusters: int64 [n] from `clusters_of`. Card precision resamples its days instead.

    Raises:
        DataError: as `metrics.metric`.
    """
    made = {n: _resampled(n, task, label, [score], clusters=clusters, context=context) for n in names}
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for count in {count for _, _, count in made.values()}:
        alike = [(name, values) for name, ((values,), _, size) in made.items() if size == count]
        for weights in draws(count, resamples, seed):
            for name, values in alike:
                drawn[name].append(values(weights))
    return {name: _interval(made[name][1][0], np.concatenate(drawn[name]), confidence) for name in names}


def _interval(estimate: float, drawn: Floats, confidence: float) -> Interval:
    low, high = _percentiles(drawn, confidence)
    return Interval(estimate, min(low, estimate), max(high, estimate), _spread(drawn))


def paired_difference(
    name: str,
    task: str,
    label: Any,
    score_a: Any,
    score_b: Any,
    *,
    clusters: Codes,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
    min_effect: float = 0.0,
    alpha: float = 0.05,
    context: Context | None = None,
) -> Difference:
    """How much better a scores than b on the same rows, both resampled by the same clusters.

    Args:
        clusters: int64 [n] from `clusters_of`. Card precision resamples its days instead.

    Raises:
        DataError: as `metrics.metric`.
    """
    (of_a, of_b), (a, b), count = _resampled(name, task, label, [score_a, score_b], clusters=clusters, context=context)
    sign = 1.0 if HIGHER_IS_BETTER[task][name] else -1.0
    drawn = sign * np.concatenate([of_a(weights) - of_b(weights) for weights in draws(count, resamples, seed)])
    estimate, error = sign * (a - b), _spread(drawn)
    low, high = _percentiles(drawn, confidence)
    return Difference(estimate, low, high, error, _p_value(drawn, min_effect), _detectable(error, alpha))


def draws(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn: float64 [some resamples x clusters] at a time, the same for the same seed."""
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_CELLS // max(clusters, 1))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        picked = random.integers(0, clusters, (size, clusters)) + clusters * np.arange(size)[:, None]
        counts = np.bincount(picked.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def _resampled(
    name: str, task: str, label: Any, scores: list[Any], *, clusters: Codes, context: Context | None
) -> tuple[list[Resampler], list[float], int]:
    pairs = [checked(name, task, label, score) for score in scores]
    if len(clusters) != len(pairs[0][0]) or not len(clusters):
        raise DataError(f"{name}: {len(clusters)} clusters for {len(pairs[0][0])} rows", "pass one cluster a row")
    if name == "card_precision":
        daily = [daily_card_precision(*pair, context or Context())[1] for pair in pairs]
        functions = [_mean_over_days(values) for values in daily]
        count = len(daily[0])
    else:
        clusters = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
        functions = [resampler(name, task, *pair, clusters, context=context) for pair in pairs]
        count = int(clusters.max()) + 1
    once = np.ones((1, count))
    return functions, [float(function(once)[0]) for function in functions], count


def _mean_over_days(daily: Floats) -> Resampler:
    return lambda weights: weights @ daily / weights.sum(-1)


def _p_value(drawn: Floats, min_effect: float) -> float:
    defined = drawn[~np.isnan(drawn)]
    return float((1 + (defined <= min_effect).sum()) / (1 + len(defined)))


def _detectable(error: float, alpha: float) -> float:
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha) + normal.inv_cdf(POWER)) * error


def _percentiles(drawn: Floats, confidence: float) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _spread(drawn: Floats) -> float:
    defined = drawn[~np.isnan(drawn)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
