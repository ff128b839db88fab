"""A drop in a slice is measured so that a policy means the same for every label's unit."""

from __future__ import annotations

import numpy as np
import pytest

from sluice.evaluation.context import Context
from sluice.evaluation.slices import Part
from sluice.gate.slices import slice_check
from sluice.gate.statistics import Measure
from sluice.gate.verdict import Check
from tests.gate.paired import policy

SETTINGS = policy(max_slice_drop=0.05, min_slice_rows=100)
ROWS = 2000


def judged(metric: str, unit: float, worse: float) -> Check:
    """Two regressors in a label's unit; the first errs `worse` times as much as the other on half of the rows."""
    random = np.random.default_rng(5)
    label, noise = random.normal(size=ROWS), random.normal(size=ROWS)
    half = np.arange(ROWS) % 2 == 0
    measure = Measure(metric, "regression", unit * label, np.arange(ROWS), Context(quantiles=(0.5,)))
    ours, theirs = (unit * (label + noise * factor) for factor in (np.where(half, worse, 1.0), 1.0))
    parts = [Part("kind", "even", half), Part("kind", "odd", ~half)]
    return slice_check(SETTINGS, parts, measure, ours, theirs, against="champion", seed=1)


@pytest.mark.parametrize("metric", ["mae", "rmse", "pinball"])
def test_an_error_may_grow_by_a_share_whatever_the_labels_unit(metric: str) -> None:
    for unit in (1e-3, 1.0, 3600.0):
        assert judged(metric, unit, 1.04).passed
        refused = judged(metric, unit, 1.08)
        assert not refused.passed
        assert refused.figures["kind even"] == pytest.approx(-0.08)
        assert refused.figures["kind odd"] == pytest.approx(0.0)


def test_a_score_may_drop_by_so_much() -> None:
    found = judged("r2", 10.0, 1.3)
    assert not found.passed
    assert "kind even loses" in found.text
