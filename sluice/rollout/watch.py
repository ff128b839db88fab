"""Whether a challenger does worse than the champion beside it, by a test that may be looked at at any time.

Everything that is watched is a share of requests or rows: failed, slow, scored at or below a decile, labelled positive.
Both versions get their requests by the same draw at the same time, so the world's drift moves both; scores are compared
by the deciles of what the gate saw of each version, so that different models are compared by how far they have moved.
The challenger is worse when the smallest share that its evidence allows exceeds the largest one of the champion's by
more than the tolerance. All bounds hold at all times together (`sluice.rollout.sequence`); alpha is split over the
steps, over what is watched, and over the two bounds of each test.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.rollout.counts import DECILES, EDGES, Counts
from sluice.rollout.sequence import lower_bounds, upper_bounds
from sluice.settings.rollout import Rollout

_GROUPS = 4
"""Errors, latency, scores, labels: each has an equal part of alpha."""


@dataclass(frozen=True)
class Look:
    """One test at one look.

    Attributes:
        metric: what was compared.
        ours, theirs: the shares seen, challenger's and champion's.
        least: the smallest difference (challenger less champion) that the evidence allows.
        tolerance: the difference that is accepted.
    """

    metric: str
    ours: float
    theirs: float
    least: float
    tolerance: float

    @property
    def violated(self) -> bool:
        """Whether even the smallest difference is too large."""
        return self.least > self.tolerance

    def words(self) -> str:
        """The test for a person."""
        return (
            f"{self.metric}: {self.ours:.2%} against {self.theirs:.2%} of the champion; "
            f"at least {self.least:.2%} more, {self.tolerance:.2%} are accepted"
        )


@dataclass(frozen=True)
class _Test:
    metric: str
    ours: tuple[int, int]
    theirs: tuple[int, int]
    tolerance: float
    alpha: float


def compare(policy: Rollout, challenger: Counts, champion: Counts, slow: float | None) -> list[Look]:
    """All tests of one step on what was counted in it.

    Args:
        slow: the seconds (one of `EDGES`) beyond which a request is slow; None while that is not known.
    """
    alpha = policy.alpha / len(policy.steps) / _GROUPS
    tests = [
        *_errors(policy, challenger, champion, alpha),
        *(_latency(policy, challenger, champion, alpha, slow) if slow is not None else ()),
        *_scores(policy, challenger, champion, alpha),
        *_labels(policy, challenger, champion, alpha),
    ]
    return _looked(tests)


def slow_edge(policy: Rollout, champion: Counts) -> float | None:
    """The limit of a slow request: the first of `EDGES` at `slow_ratio` times the champion's p95 or beyond."""
    p95 = champion.edge_of(0.95)
    if p95 is None:
        return None
    return next((edge for edge in EDGES if edge >= policy.slow_ratio * p95), None)


def _looked(tests: list[_Test]) -> list[Look]:
    half = [test.alpha / 2 for test in tests]
    ours = lower_bounds([test.ours[0] for test in tests], [test.ours[1] for test in tests], half)
    theirs = upper_bounds([test.theirs[0] for test in tests], [test.theirs[1] for test in tests], half)
    return [
        Look(test.metric, _share(*test.ours), _share(*test.theirs), float(least), test.tolerance)
        for test, least in zip(tests, ours - theirs, strict=True)
    ]


def _errors(policy: Rollout, ours: Counts, theirs: Counts, alpha: float) -> list[_Test]:
    return [
        _Test(
            "failed requests",
            (ours.errors, ours.requests),
            (theirs.errors, theirs.requests),
            policy.max_error_increase,
            alpha,
        )
    ]


def _latency(policy: Rollout, ours: Counts, theirs: Counts, alpha: float, slow: float) -> list[_Test]:
    slower = (ours.slower_than(slow), ours.requests), (theirs.slower_than(slow), theirs.requests)
    return [_Test(f"requests slower than {slow * 1e3:g} ms", *slower, policy.max_slow_increase, alpha)]


def _scores(policy: Rollout, ours: Counts, theirs: Counts, alpha: float) -> list[_Test]:
    """Two sides a decile. Without scores of either there is nothing to compare."""
    each = alpha / (2 * len(DECILES))
    tests = []
    for decile, below, their_below in zip(DECILES, ours.levels, theirs.levels, strict=False):
        low = ((below, ours.scored), (their_below, theirs.scored))
        high = ((ours.scored - below, ours.scored), (theirs.scored - their_below, theirs.scored))
        tests.append(_Test(f"scores at or below the {decile:.0%} level", *low, policy.max_score_shift, each))
        tests.append(_Test(f"scores above the {decile:.0%} level", *high, policy.max_score_shift, each))
    return tests


def _labels(policy: Rollout, ours: Counts, theirs: Counts, alpha: float) -> list[_Test]:
    missed = ((ours.positives - ours.found, ours.positives), (theirs.positives - theirs.found, theirs.positives))
    wrong = ((ours.flagged - ours.hits, ours.flagged), (theirs.flagged - theirs.hits, theirs.flagged))
    return [
        _Test("positives that were missed", *missed, policy.max_label_loss, alpha / 2),
        _Test("flagged ones that were not positive", *wrong, policy.max_label_loss, alpha / 2),
    ]


def _share(hits: int, rows: int) -> float:
    return hits / rows if rows else 0.0
