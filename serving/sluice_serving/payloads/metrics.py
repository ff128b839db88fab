"""What the receiver's `/metrics` tells."""

from __future__ import annotations

from collections.abc import Callable

from sluice_serving.counters import CollectorRegistry, Counter, Gauge, Histogram

_ACKS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ReceiverMetrics:
    """One receiver's counters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sluice_payload_{name}", text, labels, registry=registry)

        self.registry = registry
        self.accepted = counter("accepted", "Events that are durable and were acknowledged", "model", "kind")
        self.duplicates = counter("duplicates", "Events that were there already", "model")
        self.ignored = counter(
            "ignored", "Requests without a body, as health checks and scrapes make, and composed vectors", "model"
        )
        self.malformed = counter("malformed", "Events that are none: envelope, type, time, body or model", "reason")
        self.refused = counter("refused", "Requests refused, by HTTP status", "status")
        self.unanswered = counter("unanswered", "Requests that no response followed in time, since the start", "model")
        self.stored = counter("stored", "Events that went from the spool to the store")
        self.files = counter("files", "Files written to the store")
        self.aside = counter(
            "aside", "Segments that could not be read back: they lie in the spool, and wait for a person"
        )
        self.store_failures = counter("store_failures", "Attempts that the store did not take")
        self.seconds = Histogram(
            "sluice_payload_seconds",
            "From an event's last byte in to its acknowledgement",
            buckets=_ACKS,
            registry=registry,
        )
        self._registry = registry

    def watch(self, lag: Callable[[], float], size: Callable[[], int]) -> None:
        """Gauges that are read when somebody asks: seconds and bytes that wait for the store."""
        gauge = Gauge(
            "sluice_payload_lag_seconds", "Age of the oldest segment not in the store", registry=self._registry
        )
        gauge.set_function(lag)
        Gauge("sluice_payload_spool_bytes", "Bytes that wait for the store", registry=self._registry).set_function(size)

    def shipped(self, events: int, files: int) -> None:
        """A segment is in the store."""
        self.stored.inc(events)
        self.files.inc(files)
