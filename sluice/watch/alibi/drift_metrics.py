"""What the drift server's `/metrics` tells."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sluice.watch.alibi.sliding import SlidingSample
from sluice.watch.parts import parts_of

_VERDICTS = ("waiting", "quiet", "drift", "data-fault")
_SCORES = tuple(round(-0.25 + 0.05 * i, 2) for i in range(13))


class DriftMetrics:
    """One drift server's counters and gauges; all have the labels `model` and `version`."""

    def __init__(self, registry: CollectorRegistry, model: str, version: str) -> None:
        whose = {"model": model, "version": version}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sluice_{name}", text, [*whose, *labels], registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"sluice_{name}", text, [*whose, *labels], registry=registry)

        self.registry, self._whose = registry, whose
        self.events = counter("drift_events", "Events that were taken, by what became of them", "outcome")
        self.malformed = counter("drift_malformed", "Events that are none: envelope, type, time, body, model", "reason")
        self.refused = counter("drift_refused", "Requests refused, by HTTP status", "status")
        self.rows = counter("drift_rows", "Rows of answers, by what became of them", "outcome")
        self.failures = counter("drift_failures", "Judgements that failed: the log says why")
        self.window_rows = gauge("drift_window_rows", "Rows of the window, as a sample")
        self.window_seconds = gauge("drift_window_seen_seconds", "Of the events' time, seen since the start")
        self.window_full = gauge("drift_window_full", "1: the whole window has been seen")
        self._verdict = gauge("drift_verdict", "1: this is the latest verdict", "verdict")
        self._p_value = gauge("drift_p_value", "Of the latest judgement")
        self._judged = gauge("drift_judged_timestamp_seconds", "When the window was judged last")
        self._distance = gauge("drift_distance", "Of window and reference; 0: alike, 1: nothing shared", "feature")
        self._usual = gauge("drift_usual", "The distance that a quiet window may have", "feature")
        self._moved = gauge("drift_moved", "1: beyond the usual", "feature")
        self._fault = gauge("drift_fault", "1: the column is broken", "feature")
        self.judging = self._timed("drift_judge_seconds", "What a judgement took")
        self.outliers = counter("outliers", "Rows whose outlier score is above the threshold")
        self.threshold = gauge("outlier_threshold", "The score above which a row is an outlier")
        self.scores = Histogram(
            "sluice_outlier_score", "Outlier scores of rows", list(whose), registry=registry, buckets=_SCORES
        )
        self.tell_verdict("waiting")

    def of(self, metric: Any, **labels: str) -> Any:
        """A metric with this server's labels and some of its own."""
        return metric.labels(**self._whose, **labels)

    def tell_verdict(self, verdict: str) -> None:
        """This is the verdict, and no other."""
        for name in _VERDICTS:
            self.of(self._verdict, verdict=name).set(name == verdict)

    def tell_window(self, sample: SlidingSample) -> None:
        """This is the window."""
        self.of(self.window_rows).set(len(sample))
        self.of(self.window_seconds).set(sample.seen_us / 1e6)
        self.of(self.window_full).set(sample.full)

    def tell(self, document: dict[str, Any], at: float) -> None:
        """A judgement (`sluice.watch.drift.Drift.document`) of this instant, in seconds."""
        self.tell_verdict(document["verdict"])
        self.of(self._p_value).set(document["p_value"])
        self.of(self._judged).set(at)
        for part in parts_of(document):
            self.of(self._distance, feature=part["feature"]).set(part["distance"])
            self.of(self._usual, feature=part["feature"]).set(part["usual"])
            self.of(self._moved, feature=part["feature"]).set(part["moved"])
        for part in document["features"]:
            self.of(self._fault, feature=part["feature"]).set(part["fault"] is not None)

    def _timed(self, name: str, text: str) -> Histogram:
        buckets = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
        return Histogram(f"sluice_{name}", text, list(self._whose), registry=self.registry, buckets=buckets)
