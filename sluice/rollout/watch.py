"""Whether a challenger does worse than the champion beside it, by a test that may be looked at at any time.

Everything that is watched is a share of requests or rows (failed, slow, scored at or below a decile), or a mean loss
between 0 and 1, which the same bounds hold for.
Both versions get their requests by the same draw at the same time, so the world's drift moves both; scores are compared
by the deciles of what the gate saw of each version, so that different models are compared by how far they have moved.
The challenger is worse when the smallest share that its evidence allows exceeds the largest one of the champion's by
more than the tolerance. All bounds hold at all times together (`sluice.rollout.sequence`); alpha is split over the
steps, over what is watched, and over the two bounds of each test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluice.rollout.counts import DECILES, EDGES, Counts
from sluice.rollout.labels import Compared
from sluice.rollout.sequence import lower_bounds
from sluice.rollout.steps import steps_of
from sluice.settings.rollout import Rollout


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
    """Hits and requests of both; `relative` makes the tolerance a share of the champion's own bound."""

    metric: str
    ours: tuple[float, int]
    theirs: tuple[float, int]
    tolerance: float
    alpha: float
    relative: bool = False


def compare(policy: Rollout, challenger: Counts, champion: Counts, labelled: Sequence[Compared] = ()) -> list[Look]:
    """All tests of one step on what was counted in it, and those on labels that have come for the steps so far."""
    return _looked(_tests(policy, challenger, champion, labelled))


def can_tell(policy: Rollout, requests: int, champion: Counts) -> bool:
    """Whether so many requests are enough for the tests on requests: to take one back that fails or is slow at all."""
    hopeless = Counts(requests, requests, (0,) * len(EDGES))
    looks = compare(policy, hopeless, replace(champion, scored=0, levels=()))
    return looks[0].violated and any(look.violated for look in looks[1:])


def _tests(policy: Rollout, ours: Counts, theirs: Counts, labelled: Sequence[Compared]) -> list[_Test]:
    alpha = alpha_of(policy)
    return [
        *_errors(policy, ours, theirs, alpha),
        *_latency(policy, ours, theirs, alpha),
        *_scores(policy, ours, theirs, alpha),
        *(_label_test(policy, each, alpha) for each in labelled),
    ]


def alpha_of(policy: Rollout) -> float:
    """The part of alpha that one group of tests (errors, latency, scores, labels where they are on) has in a step."""
    return policy.alpha / len(steps_of(policy)) / (4 if policy.labels.enabled else 3)


def slower_edges(ratio: float) -> list[tuple[float, float]]:
    """Pairs of `EDGES`: one, and the first that is `ratio` times as large or larger; of equal seconds the tightest.

    Whoever is at most `ratio` times slower has at most as many requests beyond the second as the other beyond the
    first, whatever the times are. So no p95 has to be known, or guessed from the first requests.
    """
    pairs: dict[float, float] = {}
    for edge in EDGES:
        beyond = next((other for other in EDGES if other >= ratio * edge * (1 - 1e-9)), None)
        if beyond is not None:
            pairs[beyond] = edge
    return [(edge, beyond) for beyond, edge in pairs.items()]


def _looked(tests: list[_Test]) -> list[Look]:
    # Both bounds in one go; the largest share is one less the smallest of the misses.
    ours, theirs = [test.ours for test in tests], [test.theirs for test in tests]
    hits = [hits for hits, _ in ours] + [rows - hits for hits, rows in theirs]
    bounds = lower_bounds(hits, [rows for _, rows in ours + theirs], [test.alpha / 2 for test in tests] * 2)
    lows, highs = bounds[: len(tests)], 1.0 - bounds[len(tests) :]
    return [
        Look(
            test.metric,
            _share(*test.ours),
            _share(*test.theirs),
            float(low - high),
            test.tolerance * float(high) if test.relative else test.tolerance,
        )
        for test, low, high in zip(tests, lows, highs, strict=True)
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


def _latency(policy: Rollout, ours: Counts, theirs: Counts, alpha: float) -> list[_Test]:
    pairs = slower_edges(policy.slow_ratio)
    return [
        _Test(
            f"requests slower than {beyond * 1e3:g} ms against the champion's {edge * 1e3:g} ms",
            (ours.slower_than(beyond), ours.requests),
            (theirs.slower_than(edge), theirs.requests),
            policy.max_slow_increase,
            alpha / len(pairs),
        )
        for edge, beyond in pairs
    ]


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


def _label_test(policy: Rollout, seen: Compared, alpha: float) -> _Test:
    ours, theirs = (seen.ours.total, seen.ours.rows), (seen.theirs.total, seen.theirs.rows)
    metric = f"loss on labelled answers ({seen.step.words()})"
    return _Test(metric, ours, theirs, policy.labels.max_increase, alpha, relative=True)


def _share(hits: float, rows: int) -> float:
    return hits / rows if rows else 0.0
