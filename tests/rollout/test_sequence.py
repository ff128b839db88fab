"""The bounds hold at all looks together, also while the share moves, and are as tight as they can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from sluice.rollout.sequence import lower_bounds, upper_bounds

RUNS, LENGTH, ALPHA = 400, 3000, 0.05
LOOKS = np.unique(np.geomspace(1, LENGTH, 60).astype(int))


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("moving", [0.0, 0.8])
def test_bounds_fail_at_any_look_at_most_at_alpha(share: float, moving: float) -> None:
    """400 streams, each looked at 60 times; the share swings by up to 80 % of its room."""
    rng = np.random.default_rng(7)
    room = min(share, 1 - share) * moving
    below = above = 0
    for _ in range(RUNS):
        shares = share + room * np.sin(np.arange(LENGTH) / rng.uniform(50, 500))
        hits = np.cumsum(rng.random(LENGTH) < shares)[LOOKS - 1]
        means = (np.cumsum(shares) / np.arange(1, LENGTH + 1))[LOOKS - 1]
        level = np.full(len(LOOKS), ALPHA)
        below += bool(np.any(upper_bounds(hits, LOOKS, level) < means))
        above += bool(np.any(lower_bounds(hits, LOOKS, level) > means))
    allowed = binom.ppf(0.999, RUNS, ALPHA)
    assert below <= allowed
    assert above <= allowed


@given(st.integers(0, 5000), st.integers(0, 5000), st.floats(1e-6, 0.4))
def test_the_share_seen_is_always_between_the_bounds(hits: int, misses: int, alpha: float) -> None:
    requests = hits + misses
    (low,), (high,) = lower_bounds([hits], [requests], [alpha]), upper_bounds([hits], [requests], [alpha])
    seen = hits / requests if requests else 0.5
    assert 0 <= low <= seen <= high <= 1


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_more_hits_raise_and_more_misses_lower(hits: int, misses: int) -> None:
    level = [0.01]
    here = lower_bounds([hits], [hits + misses], level)
    assert lower_bounds([hits + 1], [hits + misses + 1], level) >= here - 1e-9
    assert lower_bounds([hits], [hits + misses + 1], level) <= here + 1e-9


def test_bounds_close_in_on_the_share() -> None:
    for requests, width in ((100, 0.3), (10_000, 0.04), (1_000_000, 0.005)):
        (low,), (high,) = (f([requests // 4], [requests], [0.05]) for f in (lower_bounds, upper_bounds))
        assert high - low < width


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="hits"):
        lower_bounds([3], [2], [0.05])
    with pytest.raises(ValueError, match="alpha"):
        lower_bounds([1], [2], [1.0])
