"""The gate errs neither way: equals pass at most at alpha, a challenger better by the minimal effect passes.

Sizes: worlds of up to 5,000 rows, about 410 positives at 114 terminals (the clusters). There the smallest effect that
is shown four times in five is .078 of average precision; the minimal effect tested is that of `BETTER`, about .089.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tests.gate.paired import ROWS, gain, judged, pair, policy, swapped

WORLDS, BETTER_WORLDS = 200, 100
BETTER = 0.7
CALIBRATION = range(50_000, 50_100)
"""Seeds of the worlds on which the effect of `BETTER` is measured: none of them is judged."""


@pytest.mark.slow
def test_promotions_of_equals_stay_within_the_binomial_quantile() -> None:
    settings = policy()
    promoted = 0
    for seed in range(WORLDS):
        world = swapped(pair(seed), seed)
        assert world.rows.height <= ROWS
        promoted += judged(world, settings).passed
    assert promoted <= binom.ppf(0.999, WORLDS, settings.gate.alpha)


@pytest.mark.slow
def test_a_challenger_better_by_the_minimal_effect_passes_four_times_in_five() -> None:
    effect = float(np.mean([gain(pair(seed, BETTER)) for seed in CALIBRATION]))
    settings = policy(min_effect=effect)
    promoted = sum(judged(pair(10_000 + i, BETTER), settings).passed for i in range(BETTER_WORLDS))
    assert promoted >= 80
