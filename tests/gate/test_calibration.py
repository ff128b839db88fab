"""Calibration on small sealed sets: chance is no fault, and scores that are too sure are one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm

from sluice.evaluation.context import Context
from sluice.gate.calibration import CalibrationError, calibration_check, calibration_error
from sluice.gate.statistics import Measure
from sluice.gate.verdict import Check
from tests.gate.paired import policy

ROWS, CLUSTERS, RESAMPLES = 400, 60, 300
LIMIT = 0.02
SETTINGS = policy(max_calibration_error=LIMIT)


def seal(seed: int, *, shared: float = 0.5, sureness: float = 1.0) -> tuple[Measure, np.ndarray]:
    """A small seal whose rows stand and fall together by cluster, and scores whose log odds are `sureness` times true.

    Labels are drawn from the true probabilities; `shared` is the correlation of what is drawn within a cluster.
    """
    random = np.random.default_rng(seed)
    cluster = random.integers(0, CLUSTERS, ROWS)
    cluster = np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    odds = -1.5 + 1.5 * random.normal(size=ROWS)
    drawn = np.sqrt(shared) * random.normal(size=CLUSTERS)[cluster] + np.sqrt(1 - shared) * random.normal(size=ROWS)
    label = (norm.cdf(drawn) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    measure = Measure("average_precision", "binary", label, cluster, Context(bins=15))
    return measure, 1 / (1 + np.exp(-sureness * odds))


def error(seed: int, **given: float) -> CalibrationError:
    measure, score = seal(seed, **given)
    return calibration_error(measure, score, resamples=RESAMPLES, seed=seed)


def check(seed: int, **given: float) -> Check:
    return calibration_check(SETTINGS, *seal(seed, **given), seed=seed)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_calibrated_scores_on_a_small_seal_are_refused_at_most_at_alpha(shared: float) -> None:
    found = [check(seed, shared=shared) for seed in range(200)]
    # What the plain error would have refused: all of them, for chance alone.
    assert np.mean([c.figures["calibration_error"] > LIMIT for c in found]) > 0.95  # type: ignore[operator]
    assert sum(not c.passed for c in found) <= binom.ppf(0.999, 200, SETTINGS.gate.alpha)


def test_scores_far_too_sure_are_refused_on_the_same_seals() -> None:
    assert sum(not check(seed, sureness=3.0).passed for seed in range(100)) >= 80


def test_the_share_of_chance_is_taken_out() -> None:
    """On average nearer to the truth than the plain error, whatever the truth is."""
    for sureness in (1.0, 1.5, 3.0):
        large, score = seal(1, sureness=sureness)
        odds = np.log(score / (1 - score)) / sureness
        expected = replace(large, label=1 / (1 + np.exp(-odds)))
        truth = calibration_error(expected, score, resamples=100, seed=1).found
        found = [error(seed, sureness=sureness) for seed in range(60)]
        plain, debiased = (np.mean([getattr(e, name) for e in found]) for name in ("found", "debiased"))
        assert abs(debiased - truth) < abs(plain - truth)
        assert debiased <= plain


def test_nothing_is_taken_out_where_there_is_no_chance() -> None:
    """Every cluster is off by the same amount in the same bin."""
    cluster = np.repeat(np.arange(50), 4).astype(np.int64)
    label = np.tile([0.0, 0.0, 0.0, 1.0], 50)
    measure = Measure("average_precision", "binary", label, cluster, Context(bins=10))
    found = calibration_error(measure, np.full(200, 0.45), resamples=500, seed=0)
    assert found.found == pytest.approx(0.2) and found.debiased == pytest.approx(0.2)
    assert found.p_value == pytest.approx(1 / 501)


def test_the_words_say_whether_chance_explains_it() -> None:
    texts = {check(seed).text for seed in range(10)} | {check(seed, sureness=3.0).text for seed in range(10)}
    assert any("which chance explains (p = " in text for text in texts)
    assert any("which chance does not explain (p = " in text for text in texts)
    assert calibration_check(SETTINGS, replace(seal(1)[0], task="regression"), seal(1)[1], seed=1).passed
