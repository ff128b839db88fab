"""What the exporter's `/metrics` tells: the monitor's last window, what followed from it, and what is live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sluice.watch.parts import parts_of
from sluice_serving.exporter.reading import Reader, Seen

VERDICTS = ("quiet", "thin", "violated", "data-fault")
TESTS = ("drift", "performance")
ACTIONS = ("none", "alerted", "retraining")
BOUNDS = ("estimate", "low", "high")
Values = dict[tuple[str, ...], float]
"""By the values of a family's own labels."""


class MonitorCollector(Collector):
    """Gauges of what a reader read last."""

    def __init__(self, model: str, reader: Reader) -> None:
        self._model, self._reader = model, reader

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, made anew for each scrape."""
        model = {"model": self._model}
        works = "1 when the store was read at the last attempt; else all else here is what was read before"
        yield _gauge("sluice_monitor_store_up", works, model, {(): float(self._reader.works)})
        if (seen := self._reader.seen) is None:
            return
        when = "When the store was read last"
        yield _gauge("sluice_monitor_read_timestamp_seconds", when, model, {(): self._reader.at})
        yield from _log(seen, model)
        yield from _following(seen, model | {"version": seen.version})
        if seen.window is not None:
            yield from _window(seen.window, model | {"version": seen.version})


def _log(seen: Seen, model: Mapping[str, str]) -> Iterator[GaugeMetricFamily]:
    live = "1 for the version that the log calls the champion"
    yield _gauge("sluice_champion_info", live, {**model, "version": seen.version}, {(): 1.0})
    kinds = Counter(decision.kind for decision in seen.decisions)
    found: Values = {(kind,): float(count) for kind, count in kinds.items()}
    yield _gauge("sluice_decisions", "Entries of the decision log", model, found, "kind")


def _following(seen: Seen, base: Mapping[str, str]) -> Iterator[GaugeMetricFamily]:
    due = "From when on the next window can be recorded"
    yield _gauge("sluice_monitor_window_due_timestamp_seconds", due, base, {(): seen.due.timestamp()})
    kind = "none" if seen.action is None else seen.action.kind
    told = "1 for what was decided about the last window"
    yield _gauge("sluice_monitor_action", told, base, _one_of(ACTIONS, kind), "action")
    if seen.open_run is not None:
        began = "When the training run was decided that the gate has not judged yet"
        found: Values = {(): seen.open_run.time.timestamp()}
        yield _gauge("sluice_monitor_open_run_timestamp_seconds", began, base, found)


def _window(window: Mapping[str, Any], base: Mapping[str, str]) -> Iterator[GaugeMetricFamily]:
    end = datetime.fromisoformat(window["end"]).timestamp()
    yield _gauge("sluice_monitor_window_end_timestamp_seconds", "End of the last recorded window", base, {(): end})
    yield _gauge("sluice_monitor_window_answers", "Answered events in it", base, {(): float(window["answers"])})
    yield _gauge("sluice_monitor_window_tested", "Of these, tested for drift", base, {(): float(window["tested"])})
    verdict = _one_of(VERDICTS, window["verdict"])
    yield _gauge("sluice_monitor_window_verdict", "1 for its verdict", base, verdict, "verdict")
    violated: Values = {(test,): float(test in window["violated"]) for test in TESTS}
    yield _gauge("sluice_monitor_violated", "1 for a test that the window violates", base, violated, "test")
    broken: Values = {(fault["feature"],): 1.0 for fault in window["faults"]}
    yield _gauge("sluice_monitor_column_broken", "1 for a column that looks broken in it", base, broken, "feature")
    yield from _drift(window["drift"], base)
    yield from _performance(window["performance"], base)


def _drift(drift: Mapping[str, Any] | None, base: Mapping[str, str]) -> Iterator[GaugeMetricFamily]:
    if drift is None:
        return
    parts = {(part["feature"],): part for part in parts_of(drift)}
    for name, text in (
        ("distance", "How far a feature lies from training, 0 to 1"),
        ("usual", "How far it may lie in a quiet world"),
    ):
        found: Values = {labels: float(part[name]) for labels, part in parts.items()}
        yield _gauge(f"sluice_monitor_drift_{name}", text, base, found, "feature")


def _performance(found: Mapping[str, Any], base: Mapping[str, str]) -> Iterator[GaugeMetricFamily]:
    for name, key, text in (
        ("performance", "measured", "The gate's metric on the mature days, with its interval"),
        ("promise", "promised", "The gate's metric on the sealed rows, with its interval"),
        ("performance_drop", "drop", "Loss against the promise: positive is worse"),
    ):
        values: Values = {
            (found["metric"], bound): value for bound in BOUNDS if (value := (found[key] or {}).get(bound)) is not None
        }
        yield _gauge(f"sluice_monitor_{name}", text, base, values, "metric", "bound")


def _one_of(names: tuple[str, ...], found: str) -> Values:
    return {(name,): float(name == found) for name in names}


def _gauge(name: str, text: str, base: Mapping[str, str], values: Values, *labels: str) -> GaugeMetricFamily:
    """A family: `values` by the values of `labels`, each with the labels of `base` before."""
    family = GaugeMetricFamily(name, text, labels=[*base, *labels])
    for key, value in values.items():
        family.add_metric([*base.values(), *key], value)
    return family
