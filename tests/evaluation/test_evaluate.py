"""The evaluation document, thresholds, slices, reliability, curves and drift."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from sluice.errors import DataError
from sluice.evaluation.calibration import reliability, wilson
from sluice.evaluation.curves import ranking_curves, score_histogram
from sluice.evaluation.drift import feature_drift, kolmogorov_smirnov, population_stability
from sluice.evaluation.evaluate import choose_threshold, evaluate, metrics_of
from sluice.evaluation.metrics import metric
from sluice.evaluation.slices import slices_of
from sluice.settings import UseCase, parse_use_case

N = 1200


def use_case(task: str = "binary", **evaluation: Any) -> UseCase:
    """A use case that is judged like this."""
    name = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "mae"}[task]
    columns = {"event_time": "time", "entities": {"card": "card"}, "values": {"amount": {}}, "label": "label"}
    labels: dict[str, Any] = {"delay": "1d", "classes": ["a", "b", "c"] if task == "multiclass" else []}
    return parse_use_case(
        {
            "name": "small",
            "task": task,
            "seed": 1,
            "data": {"source": "unused", "columns": columns, "labels": labels},
            "features": {"request": [{"kind": "value", "name": "amount", "column": "amount"}]},
            "split": {"by": "random"},
            "training": {"metric": name, "candidates": [{"id": "constant", "kind": "constant"}]},
            "evaluation": {"bootstrap": {"resamples": 100, "cluster": "card"}, **evaluation},
            "gate": {"metric": name},
        }
    )


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """1,200 labelled rows over five days."""
    random = np.random.default_rng(0)
    start = datetime(2018, 4, 1, tzinfo=UTC)
    times = [start + timedelta(days=5) * i / N for i in range(N)]
    return pl.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(N)],
            "event_time": times,
            "card": [f"c{i}" for i in random.integers(0, 60, N)],
            "amount": random.uniform(0, 100, N),
            "kind": random.choice(["shop", "web", None], N).tolist(),
            "label": (random.uniform(size=N) < 0.2).astype(float),
            "label_time": [t + timedelta(days=1) for t in times],
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC"), "label_time": pl.Datetime("us", "UTC")},
    )


def scores(rows: pl.DataFrame) -> np.ndarray:
    """Probabilities that know something of the label."""
    noise = np.random.default_rng(1).uniform(size=rows.height)
    return 0.7 * noise + 0.3 * rows.get_column("label").to_numpy()


def test_a_binary_document_holds_everything_and_is_json(rows: pl.DataFrame) -> None:
    case = use_case(
        card_precision={"k": 5, "entity": "card"},
        slices=[{"column": "amount", "bounds": [20, 50]}, {"column": "card"}],
    )
    label, score = rows.get_column("label").to_numpy(), scores(rows)
    document = evaluate(case, rows, label, score, threshold=0.5, seed=1)
    json.dumps(document, allow_nan=False)
    assert document == evaluate(case, rows, label, score, threshold=0.5, seed=1)
    auc = document["metrics"]["roc_auc"]
    assert auc["estimate"] == pytest.approx(metric("roc_auc", "binary", label, score))
    assert auc["low"] < auc["estimate"] < auc["high"]
    assert document["metrics"]["card_precision"]["estimate"] is not None
    by_amount = [s for s in document["slices"] if s["column"] == "amount"]
    assert [s["value"] for s in by_amount] == ["below 20", "20 to 50", "from 50"]
    assert sum(s["rows"] for s in by_amount) == N
    assert [d["day"] for d in document["days"]] == [f"2018-04-0{i}" for i in range(1, 6)]
    assert sum(b["rows"] for b in document["calibration"]) == N
    assert sum(document["histogram"]["negative"]) + sum(document["histogram"]["positive"]) == N
    assert document["clusters"] == 60
    assert set(metrics_of(case, rows, label, score)) == set(document["metrics"])


def test_slices_of_a_gate_on_card_precision_have_average_precision(rows: pl.DataFrame) -> None:
    settings = {"card_precision": {"k": 5, "entity": "card"}, "slices": [{"column": "amount", "bounds": [50]}]}
    case = use_case(**settings)
    judged = {"gate": case.gate.model_copy(update={"metric": "card_precision"})}
    judged["training"] = case.training.model_copy(update={"metric": "card_precision"})
    document = evaluate(case.model_copy(update=judged), rows, rows["label"], scores(rows), threshold=0.5, seed=1)
    assert all(part["metrics"]["average_precision"]["estimate"] is not None for part in document["slices"])
    assert all(day["metrics"]["card_precision"] is not None for day in document["days"])


def test_a_multiclass_document(rows: pl.DataFrame) -> None:
    random = np.random.default_rng(0)
    label, score = random.integers(0, 3, N), random.dirichlet(np.ones(3), N)
    document = evaluate(use_case("multiclass"), rows, label, score, threshold=None, seed=1)
    json.dumps(document, allow_nan=False)
    assert np.sum(document["confusion"]) == N and document["classes"] == ["a", "b", "c"]
    assert np.trace(document["confusion"]) / N == pytest.approx(document["metrics"]["accuracy"]["estimate"])


def test_a_regression_document(rows: pl.DataFrame) -> None:
    label = rows.get_column("amount").to_numpy()
    document = evaluate(use_case("regression"), rows, label, label + 1, threshold=None, seed=1)
    json.dumps(document, allow_nan=False)
    assert document["metrics"]["mae"]["estimate"] == pytest.approx(1)
    assert sum(document["residuals"]["rows"]) == N


def test_thresholds_do_what_the_settings_say(rows: pl.DataFrame) -> None:
    label, score = rows.get_column("label").to_numpy(), scores(rows).round(2)

    def at(**threshold: Any) -> np.ndarray:
        return score >= choose_threshold(use_case(threshold=threshold), label, score)

    best = max(f1_score(label, score >= t) for t in np.unique(score))
    assert f1_score(label, at(by="f1")) == pytest.approx(best)
    assert recall_score(label, at(by="recall", value=0.9)) >= 0.9
    wanted = at(by="precision", value=0.8)
    assert precision_score(label, wanted) >= 0.8
    reached = [t for t in np.unique(score) if precision_score(label, score >= t) >= 0.8]
    assert recall_score(label, wanted) == max(recall_score(label, score >= t) for t in reached)
    assert choose_threshold(use_case(threshold={"by": "fixed", "value": 0.25}), label, score) == 0.25


def test_a_precision_out_of_reach_takes_the_closest() -> None:
    label, score = np.array([0.0, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.1])
    assert choose_threshold(use_case(threshold={"by": "precision", "value": 0.9}), label, score) == 0.8


def test_slices_by_bounds_keep_missing_apart(rows: pl.DataFrame) -> None:
    table = rows.head(4).with_columns(amount=pl.Series([10.0, 20.0, None, 60.0]))
    parts = slices_of(use_case(slices=[{"column": "amount", "bounds": [20, 50]}]), table)
    assert [(p.value, p.mask.sum()) for p in parts] == [
        ("below 20", 1),
        ("20 to 50", 1),
        ("from 50", 1),
        ("missing", 1),
    ]


def test_many_values_are_cut_to_the_most_frequent_and_the_rest(rows: pl.DataFrame) -> None:
    parts = slices_of(use_case(slices=[{"column": "card"}]), rows)
    assert len(parts) == 21 and parts[-1].value == "other"
    assert sum(p.mask.sum() for p in parts) == N


def test_a_slice_of_a_column_that_is_not_there_is_told(rows: pl.DataFrame) -> None:
    with pytest.raises(DataError, match="no column 'card'"):
        slices_of(use_case(slices=[{"column": "card"}]), rows.drop("card"))


def test_reliability_bins_and_their_intervals() -> None:
    label, score = np.array([0.0, 1, 1, 1]), np.array([0.05, 0.05, 0.95, 1.0])
    low, high = reliability(label, score, bins=10)
    assert (low["rows"], low["share"], high["rows"], high["share"]) == (2, 0.5, 2, 1.0)
    assert low["share_low"] < 0.5 < low["share_high"]
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_curves_are_short_and_keep_their_ends() -> None:
    random = np.random.default_rng(0)
    label = (random.uniform(size=50_000) < 0.1).astype(float)
    curves = ranking_curves(label, random.uniform(size=50_000) + label)
    for curve, x, y in (("pr", "recall", "precision"), ("roc", "false_positive_rate", "true_positive_rate")):
        assert len(curves[curve][x]) == len(curves[curve][y]) <= 200
        assert (curves[curve][x][0], curves[curve][x][-1]) == (0.0, 1.0)
    assert ranking_curves(np.zeros(3), np.arange(3.0)) == {}


def test_the_histogram_counts_certain_scores_too() -> None:
    histogram = score_histogram(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.5]))
    assert histogram["negative"][0] == 1 and histogram["positive"][-1] == 1
    assert sum(histogram["positive"]) == 2


def test_drift_tells_what_moved() -> None:
    random = np.random.default_rng(0)
    before = pl.DataFrame(
        {"same": random.normal(size=2000), "moved": random.normal(size=2000), "kind": ["a", "b"] * 1000}
    )
    after = pl.DataFrame(
        {"same": random.normal(size=2000), "moved": random.normal(1, 1, 2000), "kind": ["a", None] * 1000}
    )
    same, moved, kind = feature_drift(before, after, ["same", "moved", "kind"])
    assert same["psi"] < 0.02 and moved["psi"] > 0.25
    assert same["ks"] < 0.06 and moved["ks"] == pytest.approx(0.38, abs=0.04)
    assert kind["psi"] > 1 and kind["ks"] is None and kind["missing_current"] == 0.5
    assert json.dumps([same, moved, kind], allow_nan=False)


def test_drift_of_a_constant_and_of_a_missing_column() -> None:
    table = pl.DataFrame({"zero": [0.0] * 10, "gone": [None] * 10}, schema_overrides={"gone": pl.Float64})
    zero, gone = feature_drift(table, table, ["zero", "gone"])
    assert (zero["psi"], zero["ks"]) == (0.0, 0.0)
    assert (gone["psi"], gone["ks"], gone["mean_current"], gone["missing_current"]) == (0.0, None, None, 1.0)


def test_stability_and_distance_by_hand() -> None:
    assert population_stability(np.array([50.0, 50.0]), np.array([90.0, 10.0])) == pytest.approx(0.8789, abs=1e-4)
    assert kolmogorov_smirnov(np.array([1.0, 2.0, 3.0]), np.array([2.5, 3.5, 4.5])) == pytest.approx(2 / 3)
