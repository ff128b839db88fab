"""What the types alone cannot see: settings that contradict one another.

Each check looks at the sections it needs and is skipped when one of them is itself wrong,
so that all mistakes of a file are told at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from sluice.settings.columns import column_contradictions
from sluice.settings.metrics import HIGHER_IS_BETTER
from sluice.settings.training import FloatRange, IntRange

Sections = Mapping[str, Any]
Check = Callable[[Sections], Iterator[str]]
_CHECKS: list[tuple[tuple[str, ...], Check]] = []


def _needs(*sections: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        _CHECKS.append((sections, check))
        return check

    return register


def contradictions(sections: Sections) -> list[str]:
    """All contradictions among the sections that could be read, each starting with its path."""
    found = list(column_contradictions(sections["task"], sections["data"])) if {"task", "data"} <= set(sections) else []
    for needed, check in _CHECKS:
        if all(name in sections for name in needed):
            found += check(sections)
    return found


@_needs("task", "training", "gate")
def _metrics_exist(s: Sections) -> Iterator[str]:
    known = HIGHER_IS_BETTER[s["task"]]
    for path, metric in (("training.metric", s["training"].metric), ("gate.metric", s["gate"].metric)):
        if metric not in known:
            yield f"{path}: a {s['task']} task has no metric {metric!r}; it has {', '.join(known)}"


@_needs("evaluation", "training", "gate")
def _card_precision_is_set(s: Sections) -> Iterator[str]:
    for path, metric in (("training.metric", s["training"].metric), ("gate.metric", s["gate"].metric)):
        if metric == "card_precision" and s["evaluation"].card_precision is None:
            yield f"{path}: card_precision needs evaluation.card_precision (k and entity)"


@_needs("data", "split")
def _time_is_there(s: Sections) -> Iterator[str]:
    if s["split"].by == "time" and s["data"].columns.event_time is None:
        yield "split.by: a split by time needs data.columns.event_time; else use random or group"


@_needs("data", "split")
def _labels_arrive(s: Sections) -> Iterator[str]:
    split, data = s["split"], s["data"]
    delay = data.labels.delay or timedelta()
    if split.by != "time":
        return
    if split.train <= delay:
        yield (
            f"split.train: {split.train} is not longer than data.labels.delay {delay}: "
            "no training label would have arrived when training starts"
        )
    if split.gap < delay:
        yield (
            f"split.gap: the test would start {split.gap} after validation ends, before the labels "
            f"that the model is chosen on have arrived (data.labels.delay is {delay})"
        )


@_needs("data")
def _labels_are_named(s: Sections) -> Iterator[str]:
    columns, labels = s["data"].columns, s["data"].labels
    if columns.label is None and labels.source is None:
        yield "data.columns.label: name the label's column, or give data.labels.source"
    known = columns.label_time is not None or labels.delay is not None or labels.source is not None
    if columns.event_time is not None and not known:
        yield "data.labels.delay: say when labels arrive: data.columns.label_time, or a delay (0s if at once)"


@_needs("data", "split")
def _group_entity(s: Sections) -> Iterator[str]:
    if s["split"].by == "group" and s["split"].entity not in s["data"].columns.entities:
        yield f"split.entity: {s['split'].entity!r} is not among data.columns.entities"


@_needs("data", "evaluation", "features")
def _judged_columns(s: Sections) -> Iterator[str]:
    entities, values = s["data"].columns.entities, s["data"].columns.values
    precision = s["evaluation"].card_precision
    if precision is not None and precision.entity not in entities:
        yield f"evaluation.card_precision.entity: {precision.entity!r} is not among data.columns.entities"
    cluster = s["evaluation"].bootstrap.cluster
    if cluster not in {"row", "day", *entities}:
        yield f"evaluation.bootstrap.cluster: {cluster!r} is neither row, day nor one of data.columns.entities"
    for i, part in enumerate(s["evaluation"].slices):
        known = {*entities, *values, *(f.name for f in s["features"].request)}
        if not part.bounds and part.column not in known:
            yield f"evaluation.slices.{i}.column: {part.column!r} is not a column of the events"


@_needs("data", "features")
def _features_exist(s: Sections) -> Iterator[str]:
    columns, features = s["data"].columns, s["features"]
    if (features.repo is None) != (features.service is None):
        yield "features: repo and service go together"
    if features.repo is None and not features.request:
        yield "features: neither a feature service nor a request feature: nothing to learn from"
    names = [feature.name for feature in features.request]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"features.request: two features are called {name!r}"
    for i, feature in enumerate(features.request):
        if feature.kind == "value" and feature.column not in columns.values:
            yield f"features.request.{i}.column: {feature.column!r} is not among data.columns.values"
        if feature.kind in ("weekend", "hours") and columns.event_time is None:
            yield f"features.request.{i}: {feature.kind} needs data.columns.event_time"


@_needs("training")
def _candidates(s: Sections) -> Iterator[str]:
    ids = [c.id for c in s["training"].candidates]
    for repeated in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"training.candidates: two candidates are called {repeated!r}"
    if s["training"].candidates[0].kind != "constant":
        yield "training.candidates.0.kind: the ladder starts with constant, the floor that all must beat"
    for i, candidate in enumerate(s["training"].candidates):
        if (candidate.kind == "import") != (candidate.import_ is not None):
            yield f"training.candidates.{i}.import: goes with kind import, and only with it"
        for name, span in candidate.search.ranges.items() if candidate.search else ():
            path = f"training.candidates.{i}.search.ranges.{name}"
            if isinstance(span, IntRange | FloatRange) and span.low > span.high:
                yield f"{path}: low {span.low} is above high {span.high}"
            if isinstance(span, IntRange | FloatRange) and span.log and span.low <= 0:
                yield f"{path}: a logarithmic range starts above 0"


@_needs("task", "training")
def _kinds_fit(s: Sections) -> Iterator[str]:
    for i, candidate in enumerate(s["training"].candidates):
        if candidate.kind == "logistic" and s["task"] == "regression":
            yield f"training.candidates.{i}.kind: logistic is for classes; for a regression use linear"
        if candidate.kind == "linear" and s["task"] != "regression":
            yield f"training.candidates.{i}.kind: linear is for a regression; for classes use logistic"


@_needs("training")
def _trees_on_a_card(s: Sections) -> Iterator[str]:
    for i, candidate in enumerate(s["training"].candidates):
        if s["training"].device == "cuda" and candidate.params.get("method") == "exact":
            yield f"training.candidates.{i}.params.method: exact runs on no card; take hist, or training.device: auto"


@_needs("task", "data")
def _classes(s: Sections) -> Iterator[str]:
    count = len(s["data"].labels.classes)
    if s["task"] == "multiclass" and count < 3:
        yield "data.labels.classes: a multiclass task names its classes, three or more"
    if s["task"] == "regression" and count:
        yield "data.labels.classes: a regression has no classes"


@_needs("evaluation")
def _threshold(s: Sections) -> Iterator[str]:
    threshold = s["evaluation"].threshold
    if (threshold.by == "f1") != (threshold.value is None):
        yield f"evaluation.threshold.value: by {threshold.by} {'takes no' if threshold.by == 'f1' else 'needs a'} value"


@_needs("task", "explanations")
def _explanations(s: Sections) -> Iterator[str]:
    given = s["explanations"]
    if given.method == "anchors" and s["task"] == "regression":
        yield "explanations.method: anchors explain a decision, which a regression does not make: use kernel_shap"
    # And one each for the background, the row and its features.
    needed = math.ceil(given.kernel_shap.samples * given.kernel_shap.background / given.batch) + 3
    if given.method == "kernel_shap" and needed > given.calls:
        yield (
            f"explanations.calls: one row may take {needed} calls, {given.calls} are allowed: "
            "raise calls or batch, or lower kernel_shap.samples or .background"
        )


@_needs("features")
def _redis(s: Sections) -> Iterator[str]:
    online = s["features"].online
    if online.store == "redis" and online.address is None:
        yield "features.online.address: Redis needs host:port"


@_needs("rollout")
def _knative(s: Sections) -> Iterator[str]:
    rollout = s["rollout"]
    if rollout.where != "knative":
        return
    if rollout.shadow:
        yield "rollout.shadow: Knative copies no requests: leave the shadow step out (0), or use standard"
    if any(step != int(step) for step in rollout.steps):
        yield f"rollout.steps: Knative splits in whole percents, got {rollout.steps}"


@_needs("rollout", "data")
def _labelled_answers(s: Sections) -> Iterator[str]:
    if s["rollout"].labels.enabled and s["data"].columns.event_id is None:
        yield "rollout.labels: labels find their answers by data.columns.event_id, which is not set"


@_needs("watch")
def _enough_draws(s: Sections) -> Iterator[str]:
    watch = s["watch"]
    # Two families of distances share the rate; the largest of so many draws is then still within it.
    needed = math.ceil(2 / watch.alarm_rate) - 1
    for path, draws in (("watch.draws", watch.draws), ("watch.classifier.draws", watch.classifier.draws)):
        if draws < needed:
            yield f"{path}: {draws} windows cannot tell an alarm rate of {watch.alarm_rate:g}: it takes {needed}"


@_needs("watch")
def _windows_and_rules(s: Sections) -> Iterator[str]:
    window, rules = s["watch"].window, s["watch"].rules
    if window <= timedelta() or window % timedelta(days=1):
        yield "watch.window: a window is one or more whole days"
    online = s["watch"].online.window
    if online <= timedelta() or online % timedelta(days=1) or online >= s["watch"].reference:
        yield "watch.online.window: one or more whole days, and fewer than watch.reference"
    if window >= s["watch"].reference:
        yield "watch.window: a window must be shorter than watch.reference"
    if rules.violated > rules.of:
        yield f"watch.rules.violated: {rules.violated} of {rules.of} windows cannot be violated"
