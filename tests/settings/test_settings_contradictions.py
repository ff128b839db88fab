"""Settings that contradict one another are refused; each line starts with where."""

from __future__ import annotations

from typing import Any

import pytest
from test_settings_reader import bent, problems

from sluice.settings import parse_use_case

LABELS = {"data.columns.label_time": None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training.metric": "rmse"}, "training.metric: a binary task has no metric 'rmse'"),
        (
            {"gate.metric": "card_precision", "evaluation.card_precision": None},
            "gate.metric: card_precision needs evaluation.card_precision",
        ),
        ({"data.columns.event_time": None, "data.labels.delay": "7d"}, "split.by: a split by time needs"),
        (LABELS | {"data.labels.delay": "42d"}, "split.train: 42 days, 0:00:00 is not longer than data.labels.delay"),
        (LABELS | {"data.labels.delay": "8d"}, "split.gap: the test would start"),
        (LABELS, "data.labels.delay: say when labels arrive"),
        ({"data.columns.label": None}, "data.columns.label: name the label's column"),
        ({"split": {"by": "group", "entity": "shop"}}, "split.entity: 'shop' is not among data.columns.entities"),
        ({"evaluation.card_precision.entity": "shop"}, "evaluation.card_precision.entity: 'shop'"),
        ({"evaluation.bootstrap.cluster": "shop"}, "evaluation.bootstrap.cluster: 'shop'"),
        ({"evaluation.slices": [{"column": "shop"}]}, "evaluation.slices.0.column: 'shop'"),
        ({"features.service": None}, "features: repo and service go together"),
        ({"features.request.1.name": "night"}, "features.request: two features are called 'night'"),
        ({"features.request.0.column": "price"}, "features.request.0.column: 'price' is not among"),
        ({"training.candidates.1.id": "constant"}, "training.candidates: two candidates are called 'constant'"),
        ({"training.candidates.0.kind": "logistic"}, "training.candidates.0.kind: the ladder starts with constant"),
        ({"training.candidates.1.kind": "import"}, "training.candidates.1.import: goes with kind import"),
        ({"training.candidates.1.kind": "linear"}, "training.candidates.1.kind: linear is for a regression"),
        ({"training.candidates.1.import": "a:B"}, "training.candidates.1.import: goes with kind import"),
        (
            {"training.candidates.1.search": {"trials": 1, "ranges": {"C": {"type": "int", "low": 3, "high": 1}}}},
            "training.candidates.1.search.ranges.C: low 3 is above high 1",
        ),
        (
            {
                "training.candidates.1.search": {
                    "trials": 1,
                    "ranges": {"C": {"type": "float", "low": 0, "high": 1, "log": True}},
                }
            },
            "training.candidates.1.search.ranges.C: a logarithmic range starts above 0",
        ),
        ({"evaluation.threshold": {"by": "f1", "value": 0.5}}, "evaluation.threshold.value: by f1 takes no value"),
        ({"evaluation.threshold": {"by": "recall"}}, "evaluation.threshold.value: by recall needs a value"),
        ({"rollout": {"where": "knative", "shadow": 50, "steps": [1]}}, "rollout.shadow: Knative copies no requests"),
        ({"rollout": {"where": "knative"}}, "rollout.steps: Knative splits in whole percents"),
        ({"rollout": {"steps": [5, 1]}}, "rollout.steps"),
        ({"rollout": {"steps": [0.25, 1]}}, "rollout.steps"),
        (
            {"rollout": {"labels": {"enabled": True}}, "data.columns.event_id": None},
            "rollout.labels: labels find their answers by data.columns.event_id",
        ),
        (
            {
                "training.device": "cuda",
                "training.candidates.1": {"id": "t", "kind": "trees", "params": {"rounds": 9, "method": "exact"}},
            },
            "training.candidates.1.params.method: exact runs on no card",
        ),
        ({"watch.online.window": "12h"}, "watch.online.window: one or more whole days"),
        ({"watch.classifier.draws": 38}, "watch.classifier.draws: 38 windows cannot tell an alarm rate of 0.05"),
        ({"watch.alarm_rate": 0.004}, "watch.draws: 400 windows cannot tell an alarm rate of 0.004: it takes 499"),
        ({"features.online": {"store": "redis"}}, "features.online.address: Redis needs host:port"),
        ({"data.columns.values.known": {"column": "fraud"}}, "data.columns.values.known: the label must not be"),
        ({"data.columns.values.fraud_known_at": {}}, "data.columns.values.fraud_known_at: the label must not be"),
        ({"data.columns.entities.known": "fraud"}, "data.columns.entities.known: the label must not be an entity"),
        ({"data.columns.values.label": {"column": "x"}}, "data.columns.values.label: this name is taken"),
        ({"data.columns.values.card": {"column": "x"}}, "data.columns.values.card: an entity has this name"),
        ({"data.columns.values.amount.min": 5, "data.columns.values.amount.max": 1}, "data.columns.values.amount.min"),
        ({"data.columns.values.shop": {"type": "category", "min": 1}}, "data.columns.values.shop: unit, min and max"),
        ({"data.columns.personal": {"card_id": "drop"}}, "data.columns.personal.card_id: dropped, but also listed"),
        ({"data.columns.personal": {"amount": "hash"}}, "data.columns.personal.amount: only ids, entities"),
        ({"data.columns.personal": {"time": "hash"}}, "data.columns.personal.time: only ids, entities"),
        ({"data.labels.source": "labels.csv", "data.columns.event_id": None}, "data.labels.source: labels find"),
        (
            {"data.start": "2018-08-01T00:00:00Z", "data.end": "2018-07-01T00:00:00Z"},
            "data.end: lies not after data.start",
        ),
        ({"data.labels.classes": ["a", "b", "c"]}, "data.labels.classes: a binary task has two classes"),
    ],
)
def test_a_contradiction_is_refused(changes: dict[str, Any], said: str) -> None:
    assert any(problem.startswith(said) for problem in problems(changes)), problems(changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "multiclass"}, "data.labels.classes: a multiclass task names its classes"),
        ({"task": "multiclass", "data.labels.negative_after": "7d"}, "data.labels.negative_after: only a binary task"),
        ({"task": "regression", "data.labels.classes": ["a", "b"]}, "data.labels.classes: a regression has no classes"),
        ({"task": "regression"}, "training.candidates.1.kind: logistic is for classes"),
    ],
)
def test_other_tasks(changes: dict[str, Any], said: str) -> None:
    assert any(problem.startswith(said) for problem in problems(changes)), problems(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"data.labels.delay": "7d"},
        LABELS | {"data.labels.source": "labels.csv"},
        LABELS | {"data.labels.delay": "7d", "data.columns.personal": {"card_id": "hash", "email": "drop"}},
        {"data.labels.classes": ["good", "fraud"]},
        {"data.labels.negative_after": "30d"},
        {"evaluation.slices": [{"column": "terminal"}, {"column": "card_count_1d", "bounds": [1, 5]}]},
    ],
)
def test_what_goes_together_is_taken(changes: dict[str, Any]) -> None:
    parse_use_case(bent(changes))
