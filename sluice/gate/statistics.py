"""Is one scorer better than another on the same rows? Two answers, both by whole clusters, and both must say yes.

*Swap test*: if the two were equal, which of a cluster's two score columns belongs to whom would be a coin's toss. The
share of random swaps whose difference is at least the one found is a p-value that holds however few or uneven the
clusters are (Fisher's randomisation test; Phipson & Smyth 2010 on the +1). *Paired cluster bootstrap*: the difference
over clusters drawn with replacement; it gives interval and standard error, and it holds where two models are equally
good without being alike, of which the swap test says nothing. docs/decisions/0006-gate.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.evaluation.bootstrap import clusters_of, paired_difference
from sluice.evaluation.card_precision import daily_card_precision
from sluice.evaluation.context import Context, context_of
from sluice.evaluation.metrics import checked, metric, resampler
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER

Floats = npt.NDArray[np.float64]
_TIE = 1e-12
"""Differences this close are the same number, summed in another order."""
_OF_RANKS = ("average_precision", "roc_auc", "roc_auc_ovr")
"""Metrics that see the order of scores only."""
_CHUNK_CELLS = 2_000_000


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
        return replace(
            self, label=self.label[mask], cluster=_coded(self.cluster[mask]), context=self.context.take(mask)
        )


@dataclass(frozen=True)
class Comparison:
    """`ours` against `theirs`; `difference` is turned so that more is better for us.

    `low` and `high` are each a one-sided bound at alpha. `p_value` is the larger of the two tests'. `error` is the
    bootstrap's standard error, `detectable` the difference that these rows show four times in five at alpha.
    """

    ours: float
    theirs: float
    difference: float
    low: float
    high: float
    p_value: float
    p_swap: float
    p_bootstrap: float
    error: float
    detectable: float
    clusters: int


def measure_of(use_case: UseCase, rows: pl.DataFrame, name: str) -> Measure:
    """The metric `name` on labelled rows, with the settings' clusters."""
    label = rows.get_column("label").cast(pl.Float64).to_numpy()
    cluster = _coded(clusters_of(use_case.evaluation.bootstrap.cluster, rows))
    return Measure(name, use_case.task, label, cluster, context_of(use_case, rows))


def compare(
    measure: Measure, ours: np.ndarray, theirs: np.ndarray, *, alpha: float, resamples: int, seed: int
) -> Comparison:
    """Compare two score columns, [n] or [n, k], on the same rows; four passes over the rows a resample."""
    found = paired_difference(
        measure.name,
        measure.task,
        measure.label,
        ours,
        theirs,
        clusters=measure.cluster,
        resamples=resamples,
        seed=seed,
        confidence=1 - 2 * alpha,
        alpha=alpha,
        context=measure.context,
    )
    p_swap = swap_test(measure, ours, theirs, resamples=resamples, seed=seed)
    return Comparison(
        ours=measure.value(ours),
        theirs=measure.value(theirs),
        difference=found.estimate,
        low=found.low,
        high=found.high,
        p_value=max(p_swap, found.p_value),
        p_swap=p_swap,
        p_bootstrap=found.p_value,
        error=found.error,
        detectable=found.smallest_detectable,
        clusters=int(measure.cluster.max(initial=-1)) + 1,
    )


def swap_test(measure: Measure, ours: np.ndarray, theirs: np.ndarray, *, resamples: int, seed: int) -> float:
    """One-sided p-value of "the two are equal": the share of swaps by cluster that look at least as good for us.

    Card precision is swapped by day, its own rows.
    """
    clusters, swapped = (_by_day if measure.name == "card_precision" else _by_cluster)(measure, ours, theirs)
    difference = swapped(np.zeros((1, clusters)))[0]
    random = np.random.default_rng([seed, 1])
    drawn = np.concatenate([swapped(tossed) for tossed in coins(random, clusters, resamples)])
    drawn = drawn[~np.isnan(drawn)]
    return float((1 + (drawn >= difference - _TIE).sum()) / (1 + len(drawn)))


Swapped = Callable[[Floats], Floats]
"""Coins [resamples x clusters], 1 where a cluster is swapped, to differences [resamples]."""


def _by_cluster(measure: Measure, ours: np.ndarray, theirs: np.ndarray) -> tuple[int, Swapped]:
    # Both columns lie in one table twice as long, so that a swap is a choice of one of a cluster's two halves.
    clusters = int(measure.cluster.max(initial=-1)) + 1
    if measure.name in _OF_RANKS:
        ours, theirs = _ranks(ours), _ranks(theirs)
    label, both = checked(
        measure.name, measure.task, np.concatenate([measure.label, measure.label]), np.concatenate([ours, theirs])
    )
    codes = np.concatenate([measure.cluster, measure.cluster + clusters])
    weigh = resampler(measure.name, measure.task, label, both, codes, context=measure.context)

    def swapped(coins: Floats) -> Floats:
        return measure.sign * (weigh(np.hstack([1 - coins, coins])) - weigh(np.hstack([coins, 1 - coins])))

    return clusters, swapped


def _ranks(score: np.ndarray) -> Floats:
    """Mid-ranks in 0..1 down each column: the same order, and two scorers of different sharpness on one scale."""
    columns = np.asarray(score, dtype=np.float64).reshape(len(score), -1).T
    ranks = [np.searchsorted(np.sort(c), c) + np.searchsorted(np.sort(c), c, side="right") for c in columns]
    return np.stack(ranks, axis=1).reshape(np.shape(score)) / (2.0 * len(score))


def _by_day(measure: Measure, ours: np.ndarray, theirs: np.ndarray) -> tuple[int, Swapped]:
    one, other = (
        daily_card_precision(*checked(measure.name, measure.task, measure.label, score), measure.context)[1]
        for score in (ours, theirs)
    )
    daily = measure.sign * (one - other)
    return len(daily), lambda coins: (1 - 2 * coins) @ daily / len(daily)


def coins(random: np.random.Generator, clusters: int, resamples: int) -> Iterator[Floats]:
    """Tosses of every cluster, 0 or 1: float64 [some resamples x clusters] at a time."""
    chunk = max(1, _CHUNK_CELLS // max(clusters, 1))
    for start in range(0, resamples, chunk):
        yield random.integers(0, 2, (min(chunk, resamples - start), clusters)).astype(np.float64)


def _coded(cluster: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.unique(cluster, return_inverse=True)[1].astype(np.int64)
