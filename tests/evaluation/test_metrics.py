"""Every metric equals scikit-learn's where scikit-learn has it, and says so where it is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from sluice.errors import DataError
from sluice.evaluation.context import Context
from sluice.evaluation.metrics import metric
from sluice.settings.metrics import HIGHER_IS_BETTER

THRESHOLD = 0.4
BINARY = {
    "average_precision": reference.average_precision_score,
    "roc_auc": reference.roc_auc_score,
    "log_loss": reference.log_loss,
    "brier": reference.brier_score_loss,
    "accuracy": lambda y, s: reference.accuracy_score(y, s >= THRESHOLD),
    "f1": lambda y, s: reference.f1_score(y, s >= THRESHOLD),
    "precision": lambda y, s: reference.precision_score(y, s >= THRESHOLD, zero_division=0),
    "recall": lambda y, s: reference.recall_score(y, s >= THRESHOLD),
}
MULTICLASS = {
    "accuracy": lambda y, s: reference.accuracy_score(y, s.argmax(1)),
    "f1_macro": lambda y, s: reference.f1_score(y, s.argmax(1), average="macro"),
    "precision_macro": lambda y, s: reference.precision_score(y, s.argmax(1), average="macro", zero_division=0),
    "recall_macro": lambda y, s: reference.recall_score(y, s.argmax(1), average="macro"),
    "roc_auc_ovr": lambda y, s: reference.roc_auc_score(y, s, multi_class="ovr"),
    "log_loss": reference.log_loss,
}
REGRESSION = {
    "mae": reference.mean_absolute_error,
    "rmse": reference.root_mean_squared_error,
    "r2": reference.r2_score,
    "pinball": lambda y, s: np.mean([reference.mean_pinball_loss(y, s, alpha=q) for q in (0.1, 0.5, 0.9)]),
}


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 300), st.sampled_from([1, 2, 6]))
def test_binary_metrics_equal_scikit_learn(name: str, seed: int, n: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, n).astype(float)
    label[:2] = 0, 1
    score = random.uniform(size=n).round(decimals)  # one decimal: many ties
    ours = metric(name, "binary", label, score, context=Context(threshold=THRESHOLD))
    assert ours == pytest.approx(BINARY[name](label, score), abs=1e-9)


@pytest.mark.parametrize("name", MULTICLASS)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 200))
def test_multiclass_metrics_equal_scikit_learn(name: str, seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, n)
    label[:3] = 0, 1, 2
    score = random.dirichlet(np.ones(3), n)
    assert metric(name, "multiclass", label, score) == pytest.approx(MULTICLASS[name](label, score), abs=1e-9)


@pytest.mark.parametrize("name", REGRESSION)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 200), st.sampled_from([0.0, 1e6]))
def test_regression_metrics_equal_scikit_learn(name: str, seed: int, n: int, offset: float) -> None:
    random = np.random.default_rng(seed)
    label = random.normal(offset, 3, n)
    score = label + random.normal(size=n)
    assert metric(name, "regression", label, score) == pytest.approx(REGRESSION[name](label, score), rel=1e-9, abs=1e-9)


def test_every_metric_of_the_settings_is_computed() -> None:
    label, day = np.array([0.0, 1, 1, 0]), np.array([1, 1, 2, 2])
    context = Context(day=day, entity=np.array([0, 1, 0, 1]), k=1)
    shapes = {"binary": label * 0.5 + 0.2, "multiclass": np.eye(3)[[0, 1, 1, 2]], "regression": label + 0.1}
    for task, names in HIGHER_IS_BETTER.items():
        for name in names:
            assert np.isfinite(metric(name, task, label, shapes[task], context=context)), (task, name)


def test_pinball_of_quantile_scores_judges_each_column_by_its_own_quantile() -> None:
    label = np.array([1.0, 2, 3])
    score = np.column_stack([label - 1, label, label + 2])
    expected = np.mean([0.1 * 1, 0.0, 0.1 * 2])
    assert metric("pinball", "regression", label, score) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    score, label = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 1, 1, 1])
    assert metric("calibration_error", "binary", label, score, context=Context(bins=2)) == pytest.approx(
        0.5 * abs(0.5 - 0.1) + 0.5 * abs(1 - 0.9)
    )


@pytest.mark.parametrize("name", ["average_precision", "roc_auc"])
def test_a_ranking_without_positives_is_undefined(name: str) -> None:
    assert np.isnan(metric(name, "binary", np.zeros(3), np.array([0.1, 0.2, 0.3])))


def test_metrics_of_no_rows_are_undefined() -> None:
    assert np.isnan(metric("log_loss", "binary", [], []))
    assert np.isnan(metric("mae", "regression", [], []))


@pytest.mark.parametrize(
    ("name", "task", "label", "score", "says"),
    [
        ("mape", "regression", [1.0], [1.0], "no metric 'mape'"),
        ("roc_auc", "binary", [1.0, 0.0], [0.5], "do not fit"),
        ("roc_auc", "binary", [1.0, 0.0], [[0.5], [0.5]], "do not fit"),
        ("roc_auc", "binary", [1.0, 0.0], [0.5, np.nan], "no finite number"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    name: str, task: str, label: list[float], score: list[float], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        metric(name, task, label, score)
