"""The two tests behind "better": what they are exact for, and what they do not see."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.evaluation.context import Context
from sluice.evaluation.metrics import metric
from sluice.gate.statistics import Comparison, Measure, compare, swap_test

ROWS, CLUSTERS = 240, 6


def measure(name: str, task: str = "binary", seed: int = 0, **context: object) -> Measure:
    random = np.random.default_rng(seed)
    label = (random.random(ROWS) < 0.3).astype(np.float64)
    if task == "multiclass":
        label = random.integers(0, 3, ROWS).astype(np.float64)
    cluster = np.sort(random.integers(0, CLUSTERS, ROWS)).astype(np.int64)
    cluster = np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    return Measure(name, task, label, cluster, Context(**context))  # type: ignore[arg-type]


def scores(measure: Measure, seed: int, strength: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 1 / (1 + np.exp(1 - strength * measure.label - random.normal(size=ROWS)))


@pytest.mark.parametrize("name", ["log_loss", "brier", "calibration_error"])
def test_the_swap_test_is_the_share_of_all_swaps(name: str) -> None:
    """Six clusters have 64 swaps: all of them counted by hand, against random ones."""
    m = measure(name)
    ours, theirs = scores(m, 1, 1.3), scores(m, 2, 1.0)

    def difference(swap: tuple[int, ...]) -> float:
        chosen = np.array(swap, dtype=bool)[m.cluster]
        one, other = np.where(chosen, theirs, ours), np.where(chosen, ours, theirs)
        return metric(name, "binary", m.label, other) - metric(name, "binary", m.label, one)

    found = difference((0,) * CLUSTERS)
    share = np.mean([difference(swap) >= found - 1e-12 for swap in itertools.product((0, 1), repeat=CLUSTERS)])
    assert swap_test(m, ours, theirs, resamples=8000, seed=3) == pytest.approx(share, abs=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 5), st.floats(-3, 3), st.sampled_from(["average_precision", "roc_auc"]))
def test_a_metric_of_order_sees_no_scale(seed: int, stretch: float, shift: float, name: str) -> None:
    m = measure(name, seed=seed)
    ours, theirs = scores(m, seed + 1, 1.5), scores(m, seed + 2, 1.0)
    rescaled = 1 / (1 + np.exp(-(stretch * np.log(theirs / (1 - theirs)) + shift)))
    before, after = (compare(m, ours, t, alpha=0.05, resamples=100, seed=1) for t in (theirs, rescaled))
    assert after.p_value == pytest.approx(before.p_value, abs=0.02)


@pytest.mark.parametrize(
    ("task", "name"),
    [("binary", "card_precision"), ("multiclass", "accuracy"), ("multiclass", "roc_auc_ovr"), ("regression", "mae")],
)
def test_every_kind_of_metric_can_be_compared(task: str, name: str) -> None:
    day, entity = np.arange(ROWS) % 9, np.arange(ROWS) % 40
    m = measure(name, task, day=day.astype(np.int64), entity=entity.astype(np.int64), k=5)
    random = np.random.default_rng(4)
    if task == "multiclass":
        good = np.eye(3)[m.label.astype(int)] + random.random((ROWS, 3))
        good /= good.sum(1, keepdims=True)
        bad = good[::-1]
    elif task == "regression":
        good, bad = m.label + 0.1 * random.normal(size=ROWS), m.label + random.normal(size=ROWS)
    else:
        good, bad = scores(m, 1, 6.0), scores(m, 2, 0.0)
    better, worse, same = (
        compare(m, a, b, alpha=0.05, resamples=300, seed=1) for a, b in ((good, bad), (bad, good), (good, good))
    )
    assert better.difference > 0 > worse.difference
    assert better.p_value < 0.05 < worse.p_value
    assert same.p_value == 1.0


def test_the_smallest_detectable_effect_is_two_quantiles_of_the_error() -> None:
    m = measure("brier")
    found: Comparison = compare(m, scores(m, 1, 1.3), scores(m, 2, 1.0), alpha=0.05, resamples=200, seed=1)
    assert found.detectable == pytest.approx((1.6449 + 0.8416) * found.error, rel=1e-3)
    assert found.low <= found.difference <= found.high
