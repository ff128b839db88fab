"""Windows drawn by whole days, the distances between them, and how often a quiet window alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2_contingency, ks_2samp
from watched import SCHEMA, made_up

from sluice.errors import WatchError
from sluice.evaluation import drift
from sluice.settings.watch import Watch
from sluice.watch.alibi import days
from sluice.watch.alibi.comparison import Comparison
from sluice.watch.alibi.judging import judged

SETTINGS = Watch().model_dump(mode="json")
numbers = st.lists(st.integers(0, 6), min_size=1, max_size=40)


@given(numbers, numbers)
def test_distances_are_those_of_the_textbook(window: list[int], base: list[int]) -> None:
    values = np.array(window + base, dtype=np.float32)
    place = np.repeat([0, 1], [len(window), len(base)])
    counts = days.counts_by_day(values, place, 2)
    first, second = np.array([[True, False]]), np.array([[False, True]])
    found = days.distances(counts, first, second, ordered=True)[0]
    expected = drift.kolmogorov_smirnov(np.array(window, dtype=float), np.array(base, dtype=float))
    assert found == pytest.approx(expected)
    table = counts[:, counts.sum(axis=0) > 0]
    squared = chi2_contingency(table, correction=False).statistic if table.shape[1] > 1 else 0.0
    assert days.distances(counts, first, second, ordered=False)[0] ** 2 * counts.sum() == pytest.approx(squared)


@given(st.integers(1, 10), st.integers(0, 6), st.integers(12, 60), st.integers(0, 99))
@settings(deadline=None)
def test_a_drawn_window_has_the_weekdays_of_the_tested_one(length: int, start: int, kept: int, seed: int) -> None:
    window = np.arange(1000 + start, 1000 + start + length)
    drawn = days.draw_windows(np.arange(kept), window, 20, np.random.default_rng(seed))
    assert (drawn.sum(axis=1) == length).all()
    base = days.base_days(drawn, 3, np.random.default_rng(seed))
    assert not (drawn & base).any()
    assert (base.sum(axis=1) == min(3, kept - length)).all()
    if kept >= 7 * (length // 7 + 2):
        weekdays = [np.sort(np.flatnonzero(row) % 7).tolist() for row in drawn]
        assert weekdays == [np.sort(window % 7).tolist()] * 20


def test_a_window_that_is_too_long_is_refused_in_words() -> None:
    with pytest.raises(WatchError, match="a window of 6 days cannot be judged by a reference of 7"):
        days.draw_windows(np.arange(7), np.arange(6), 10, np.random.default_rng(0))


def test_quiet_windows_alarm_at_the_rate_that_was_asked_for_though_days_differ() -> None:
    """Days with means of their own: a test that takes rows for independent alarms nearly always."""
    trials, rate, alarms, naive = 100, 0.1, 0, 0
    for seed in range(trials):
        reference, window = made_up(42, per_day=30, seed=seed), made_up(7, first=42, per_day=30, seed=seed)
        pair = Comparison(SCHEMA, reference, window, SETTINGS | {"draws": 200}, seed)
        alarms += bool(judged(*pair.marginals(), rate).moved.any())
        naive += ks_2samp(reference["amount"], window["amount"]).pvalue < rate
    assert alarms <= binom.ppf(0.999, trials, rate)
    assert alarms >= binom.ppf(0.001, trials, rate / 4), "a verdict that never alarms is no test"
    assert naive > binom.ppf(0.999, trials, rate)


def test_what_moved_is_named_and_the_rest_is_not() -> None:
    pair = Comparison(SCHEMA, made_up(42), made_up(7, first=42, shift=1.0), SETTINGS, 0)
    found = judged(*pair.marginals(), 0.05)
    assert found.moved.tolist() == [True, False, True]
    assert found.p_value == pytest.approx(1 / 401)


def test_too_few_draws_for_the_rate_find_nothing() -> None:
    assert not judged(np.random.default_rng(0).normal(size=(10, 2)), np.array([9.0, 9.0]), 0.05).moved.any()


@pytest.mark.parametrize("held_out", [[True, False] * 2100, [False] * 4200])
def test_scores_are_compared_where_held_out_rows_lie_on_all_days_or_are_gone(held_out: list[bool]) -> None:
    reference = made_up(42).with_columns(held_out=np.array(held_out))
    drawn, found = Comparison(SCHEMA, reference, made_up(7, first=42), SETTINGS, 0).marginals()
    assert np.isfinite(drawn).all()
    assert 0 < found[-1] < 1
