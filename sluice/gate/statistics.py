"""Is one scorer better than another on the same rows? Two answers, both by whole clusters, both must say yes.

*Swap test*: if the two were equal, which of a cluster's two score columns belongs to whom would be a coin's toss; the
share of random swaps whose difference is as large as the one found is an exact p-value, however few or uneven the
clusters (Fisher's randomisation test; Phipson & Smyth 2010 for the +1). *Paired cluster bootstrap*: the difference over
clusters drawn with replacement (Cameron, Gelbach & Miller 2008); it gives the interval and the standard error, and
holds where two models are equally good without being alike, of which the swap test says nothing. Measured in
docs/decisions/0006-gate.md: the bootstrap alone is too generous when positives sit on few clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.evaluation.context import Context, context_of
from sluice.evaluation.metrics import checked, metric, resampler
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER

Floats = npt.NDArray[np.float64]
POWER = 0.8
"""The smallest detectable effect is the one that is shown this often (Cohen 1988)."""
_TIE = 1e-12
"""Differences this close are the same number summed in another order."""


@dataclass(frozen=True)
class Measure:
    """A metric on given rows: label [n], cluster code [n], context; `sign` is -1 where less is better."""

    name: str
    task: str
    label: Floats
    cluster: npt.NDArray[np.int64]
    context: Context

    @property
    def sign(self) -> float:
        """Turns a metric so that more is better."""
        return 1.0 if HIGHER_IS_BETTER[self.task][self.name] else -1.0

    def value(self, score: np.ndarray) -> float:
        """The metric of scores."""
        return metric(self.name, self.task, self.label, score, context=self.context)

    def take(self, mask: npt.NDArray[np.bool_]) -> Measure:
        """The same metric on the rows that a mask [n] keeps."""
        _, codes = np.unique(self.cluster[mask], return_inverse=True)
        return replace(self, label=self.label[mask], cluster=codes.astype(np.int64), context=self.context.take(mask))


@dataclass(frozen=True)
class Comparison:
    """`ours` minus `theirs`, turned so that more is better.

    `low` and `high` bound the difference at the two-sided level 1 - 2 alpha; `p_value` is the larger of the swap
    test's and the bootstrap's; `standard_error` is the bootstrap's; `clusters` those that were drawn from.
    """

    ours: float
    theirs: float
    difference: float
    low: float
    high: float
    p_value: float
    p_swap: float
    p_bootstrap: float
    standard_error: float
    clusters: int

    def detectable(self, alpha: float) -> float:
        """The smallest true difference that a test at alpha shows with a power of `POWER`."""
        normal = NormalDist()
        return (normal.inv_cdf(1 - alpha) + normal.inv_cdf(POWER)) * self.standard_error


def measure_of(use_case: UseCase, rows: pl.DataFrame, name: str) -> Measure:
    """The metric `name` on labelled rows, with the settings' clusters."""
    label = rows.get_column("label").cast(pl.Float64).to_numpy()
    cluster = cluster_codes(rows, use_case.evaluation.bootstrap.cluster)
    return Measure(name, use_case.task, label, cluster, context_of(use_case, rows))


def cluster_codes(rows: pl.DataFrame, cluster: str) -> npt.NDArray[np.int64]:
    """Code of each row's cluster, int64 [n]: an entity, `day` (UTC), or `row`; a row without entity is its own."""
    if cluster == "row":
        return np.arange(rows.height, dtype=np.int64)
    if cluster == "day":
        names = rows.get_column("event_time").dt.truncate("1d").cast(pl.String)
    else:
        names = rows.select(pl.coalesce(cluster, "event_id")).to_series()
    codes: npt.NDArray[np.int64] = names.rank("dense").cast(pl.Int64).to_numpy() - 1
    return codes


def compare(
    measure: Measure, ours: np.ndarray, theirs: np.ndarray, *, alpha: float, resamples: int, seed: int
) -> Comparison:
    """Compare two score columns, [n] or [n, k], on the same rows.

    The cost is four passes over the sorted rows per resample.
    """
    at, against = measure.value(ours), measure.value(theirs)
    difference = measure.sign * (at - against)
    rng = np.random.default_rng(seed)
    swapped = _swapped_differences(measure, ours, theirs, resamples, rng)
    drawn = _drawn_differences(measure, ours, theirs, resamples, rng)
    p_swap = _share(swapped >= difference - _TIE)
    p_bootstrap = _share(drawn <= _TIE)
    low, high = np.quantile(drawn, [alpha, 1 - alpha]) if len(drawn) else (np.nan, np.nan)
    return Comparison(
        at, against, difference, float(low), float(high), max(p_swap, p_bootstrap), p_swap, p_bootstrap,
        float(drawn.std(ddof=1)) if len(drawn) > 1 else float("nan"), int(measure.cluster.max(initial=-1)) + 1,
    )  # fmt: skip


def _share(hits: npt.NDArray[np.bool_]) -> float:
    return (1 + int(hits.sum())) / (1 + len(hits))


def _swapped_differences(
    measure: Measure, ours: np.ndarray, theirs: np.ndarray, resamples: int, rng: np.random.Generator
) -> Floats:
    """Differences after swapping whole clusters at random, float64 [resamples].

    Both score columns lie in one table twice as long, in which each cluster is there as ours and as theirs; a swap is
    a choice of one of the two.
    """
    clusters = int(measure.cluster.max(initial=-1)) + 1
    swap = rng.integers(0, 2, (resamples, clusters)).astype(np.float64)
    both, label = np.concatenate([ours, theirs]), np.concatenate([measure.label, measure.label])
    codes = np.concatenate([measure.cluster, measure.cluster + clusters])
    label, both = checked(measure.name, measure.task, label, both)
    weigh = resampler(measure.name, measure.task, label, both, codes, context=measure.context)
    difference = weigh(np.hstack([1 - swap, swap])) - weigh(np.hstack([swap, 1 - swap]))
    return _defined(measure.sign * difference)


def _drawn_differences(
    measure: Measure, ours: np.ndarray, theirs: np.ndarray, resamples: int, rng: np.random.Generator
) -> Floats:
    """Differences over clusters drawn with replacement, float64 [resamples, less the undefined]."""
    clusters = int(measure.cluster.max(initial=-1)) + 1
    weights = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)
    one, other = (
        resampler(
            measure.name, measure.task, *checked(measure.name, measure.task, measure.label, score), measure.cluster,
            context=measure.context,
        )(weights)
        for score in (ours, theirs)
    )  # fmt: skip
    return _defined(measure.sign * (one - other))


def _defined(values: Floats) -> Floats:
    return values[~np.isnan(values)]
