"""Intervals by clusters: equal to resampling rows by hand, deterministic, and as wide as they must be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from sluice.errors import DataError
from sluice.evaluation.bootstrap import Interval, cluster_bootstrap, clusters_of, draws, paired_difference
from sluice.evaluation.context import Context
from sluice.evaluation.metrics import checked, metric, resampler
from sluice.settings.metrics import HIGHER_IS_BETTER

EVERY = [(task, name) for task, names in HIGHER_IS_BETTER.items() for name in names if name != "card_precision"]


def interval(name: str, *given: Any, **more: Any) -> Interval:
    """Of one metric alone."""
    return cluster_bootstrap([name], *given, **more)[name]


def clustered(seed: int, clusters: int = 40, size: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and clusters whose rows stand and fall together."""
    random = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    odds = random.normal(-2, 1.5, clusters)[cluster]
    label = (random.uniform(size=len(cluster)) < 1 / (1 + np.exp(-odds))).astype(float)
    seen = odds + random.normal(size=clusters)[cluster] + random.normal(size=len(cluster))
    return label, 1 / (1 + np.exp(-seen)), cluster


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_weights_are_rows_written_out_as_often_as_their_cluster_is_drawn(task: str, name: str) -> None:
    label, score, cluster = clustered(1)
    if task == "multiclass":
        label = np.clip(label + (np.arange(len(label)) % 2), 0, 2)
        score = np.random.default_rng(0).dirichlet(np.ones(3), len(label))
    label, score = checked(name, task, label, score)
    weights = next(draws(40, 5, seed=3))
    drawn = resampler(name, task, label, score, cluster)(weights)
    for row, value in zip(weights, drawn, strict=True):
        written_out = np.repeat(np.arange(len(label)), row[cluster].astype(int))
        assert value == pytest.approx(metric(name, task, label[written_out], score[written_out]), rel=1e-9)


def test_metrics_asked_together_are_those_asked_alone() -> None:
    label, score, cluster = clustered(4)
    day = Context(day=cluster % 7, entity=cluster, known=np.zeros(len(label), dtype=np.bool_), k=5)
    given = {"clusters": cluster, "resamples": 100, "confidence": 0.9, "seed": 2, "context": day}
    names = ["roc_auc", "card_precision", "log_loss", "average_precision"]
    together = cluster_bootstrap(names, "binary", label, score, **given)  # type: ignore[arg-type]
    assert together == {name: interval(name, "binary", label, score, **given) for name in names}


def test_interval_equals_one_made_by_hand() -> None:
    label, score, cluster = clustered(2)
    weights = np.concatenate(list(draws(40, 200, seed=5)))
    by_hand = []
    for row in weights:
        written_out = np.repeat(np.arange(len(label)), row[cluster].astype(int))
        by_hand.append(average_precision_score(label[written_out], score[written_out]))
    found = interval(
        "average_precision", "binary", label, score, clusters=cluster, resamples=200, confidence=0.9, seed=5
    )
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.05, 0.95])))
    assert found.error == pytest.approx(np.std(by_hand, ddof=1))


def test_the_seed_decides() -> None:
    label, score, cluster = clustered(3)
    one, same, other = (
        interval("roc_auc", "binary", label, score, clusters=cluster, resamples=100, confidence=0.95, seed=s)
        for s in (1, 1, 2)
    )
    assert one == same != other


def test_clusters_widen_what_rows_promise() -> None:
    label, score, cluster = clustered(4)
    rows = np.arange(len(label))
    errors = [
        interval("roc_auc", "binary", label, score, clusters=c, resamples=400, confidence=0.95, seed=1).error
        for c in (cluster, rows)
    ]
    assert errors[0] > 1.5 * errors[1]


def test_intervals_cover_the_truth_as_often_as_they_promise() -> None:
    """90 % intervals of 200 worlds: by cluster near 90 %, by row far below."""
    big = clustered(10**6, clusters=20_000)
    truth = roc_auc_score(big[0], big[1])
    hits = {"cluster": 0, "row": 0}
    for seed in range(200):
        label, score, cluster = clustered(seed, clusters=80, size=10)
        for name, codes in (("cluster", cluster), ("row", np.arange(len(label)))):
            found = interval(
                "roc_auc", "binary", label, score, clusters=codes, resamples=200, confidence=0.9, seed=seed
            )
            hits[name] += found.low <= truth <= found.high
    assert 0.83 <= hits["cluster"] / 200 <= 0.97
    assert hits["row"] / 200 < 0.8


def test_equals_seldom_look_better_and_better_ones_do() -> None:
    """At alpha 5 %: of 200 pairs of equal scores few pass (binomial 99.9 % quantile: 21), of clearly better most."""
    passed = {"equal": 0, "better": 0}
    for seed in range(200):
        label, _, cluster = clustered(seed, clusters=80, size=10)
        random = np.random.default_rng([seed, 1])
        a, b = (label + random.normal(0, 2, 80)[cluster] + random.normal(0, 2, 800) for _ in range(2))
        for name, score in (("equal", a), ("better", a + 2 * label)):
            found = paired_difference("roc_auc", "binary", label, score, b, clusters=cluster, resamples=200, seed=seed)
            passed[name] += found.p_value <= 0.05
    assert passed["equal"] <= 21
    assert passed["better"] >= 160


def test_a_score_is_not_better_than_itself() -> None:
    label, score, cluster = clustered(5)
    found = paired_difference(
        "average_precision", "binary", label, score, score, clusters=cluster, resamples=100, seed=1
    )
    assert (found.estimate, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_improvement_is_positive_where_less_is_better_too() -> None:
    label, score, cluster = clustered(6)
    worse = np.clip(score + 0.3, 0, 1)
    found = paired_difference("brier", "binary", label, score, worse, clusters=cluster, resamples=200, seed=1)
    assert found.estimate > 0 and found.p_value < 0.01
    assert found.low < found.estimate < found.high


def test_min_effect_raises_the_bar() -> None:
    label, score, cluster = clustered(7)
    worse = score + np.random.default_rng(0).normal(0, 0.1, len(score))
    low, high = (
        paired_difference(
            "roc_auc", "binary", label, score, worse, clusters=cluster, resamples=300, seed=1, min_effect=effect
        ).p_value
        for effect in (0.0, 0.2)
    )
    assert low < 0.05 and high > 0.9


def test_the_smallest_detectable_effect_is_detected_four_times_in_five() -> None:
    """Against a normal approximation: (z_95 + z_80) standard errors."""
    label, score, cluster = clustered(8)
    noise = np.random.default_rng(0).normal(0, 0.2, len(score))
    found = paired_difference("roc_auc", "binary", label, score, score + noise, clusters=cluster, resamples=200, seed=1)
    assert found.smallest_detectable == pytest.approx((1.6449 + 0.8416) * found.error, rel=1e-3)


def test_card_precision_resamples_days() -> None:
    random = np.random.default_rng(0)
    day, card = np.repeat(np.arange(10), 50), random.integers(0, 100, 500)
    label = (random.uniform(size=500) < 0.2).astype(float)
    context = Context(day=day, entity=card, k=10)
    better, worse = label + random.uniform(size=500), random.uniform(size=500)
    rows = np.arange(500)
    found = paired_difference(
        "card_precision", "binary", label, better, worse, clusters=rows, resamples=200, seed=1, context=context
    )
    values = [metric("card_precision", "binary", label, s, context=context) for s in (better, worse)]
    assert found.estimate == pytest.approx(values[0] - values[1]) and found.low > 0
    with pytest.raises(DataError, match="mean over days"):
        resampler("card_precision", "binary", label, better, rows, context=context)


def test_undefined_resamples_are_left_out() -> None:
    label, score = np.array([1.0, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.3])
    found = interval("roc_auc", "binary", label, score, clusters=np.arange(4), resamples=100, confidence=0.95, seed=1)
    assert found.estimate == found.low == found.high == 1.0
    nothing = interval(
        "roc_auc", "binary", np.zeros(4), score, clusters=np.arange(4), resamples=100, confidence=0.95, seed=1
    )
    assert nothing.document() == {"estimate": None, "low": None, "high": None, "error": None}


def test_clusters_by_row_day_and_entity() -> None:
    times = [datetime(2018, 4, d, h, tzinfo=UTC) for d, h in ((1, 0), (1, 23), (2, 0), (2, 1))]
    rows = pl.DataFrame(
        {"event_time": times, "card": ["x", None, "x", None]}, schema_overrides={"event_time": pl.Datetime("us", "UTC")}
    )
    assert clusters_of("row", rows).tolist() == [0, 1, 2, 3]
    assert clusters_of("day", rows).tolist() == [0, 0, 1, 1]
    assert clusters_of("card", rows).tolist() == [0, 1, 0, 2]  # rows without a card stand alone


def test_clusters_must_fit_the_rows() -> None:
    with pytest.raises(DataError, match="3 clusters for 4 rows"):
        interval(
            "roc_auc", "binary", [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], clusters=np.arange(3), resamples=100,
            confidence=0.95, seed=1,
        )  # fmt: skip


def test_an_interval_holds_its_estimate() -> None:
    """A calibrated score's calibration error grows in every resample."""
    random = np.random.default_rng(0)
    score = np.repeat(np.linspace(0.1, 0.9, 9), 100)
    label = np.concatenate([random.permutation(np.arange(100) < round(p * 100)) for p in score[::100]]).astype(float)
    found = interval(
        "calibration_error", "binary", label, score, clusters=np.arange(900), resamples=100, confidence=0.9, seed=1
    )
    assert found.low <= found.estimate < 1e-9 < found.high
