"""What the updater's `/metrics` tells."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.updates.source import Entry, Partition
from sluice.windows.tiles import Counted
from sluice_serving.counters import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0)


class Metrics:
    """Counters of one updater. An event counts once for each entity; services are apart."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ["service", "entity"]

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"sluice_updater_{name}", text, [*names, *more], registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"sluice_updater_{name}", text, [*names, "partition"], registry=registry)

        self._applied = counter("applied", "Events and labels taken into state", "stream")
        self._late = counter("late", "Of these, earlier than the newest that their key's state held", "stream")
        self._duplicates = counter("duplicates", "Events and labels that state held already", "stream")
        self._outdated = counter("outdated", "Not taken: behind the horizon, so maybe a duplicate", "stream")
        self._refused = counter("refused", "Records that could not be read")
        self._fenced = counter("fenced", "Writes refused because another updater was faster")
        self._held = gauge("held", "1 for a partition that this updater holds")
        self._lag = gauge("lag_records", "Records that wait to be applied")
        self._behind = gauge("lag_seconds", "How long the oldest of them has waited")
        self._fresh = Histogram(
            "sluice_updater_freshness_seconds",
            "From a record's acceptance by the stream to its place in state",
            names,
            buckets=_SECONDS,
            registry=registry,
        )

    def applied(self, service: str, partition: Partition, stream: str, counted: Counted) -> None:
        """Counts how entries were taken."""
        where = (service, partition.entity, stream)
        for counter, number in (
            (self._applied, counted.taken),
            (self._late, counted.late),
            (self._duplicates, counted.repeated),
            (self._outdated, counted.outdated),
        ):
            counter.labels(*where).inc(number)

    def refused(self, service: str, partition: Partition, number: int) -> None:
        """Counts records that could not be read."""
        self._refused.labels(service, partition.entity).inc(number)

    def fenced(self, service: str, partition: Partition) -> None:
        """Counts a write that was refused."""
        self._fenced.labels(service, partition.entity).inc()

    def fresh(self, service: str, partition: Partition, entries: Sequence[Entry], now: float) -> None:
        """Notes how old each record was when it was in state."""
        histogram = self._fresh.labels(service, partition.entity)
        for entry in entries:
            histogram.observe(max(now - entry.accepted, 0.0))

    def standing(self, service: str, partition: Partition, *, held: bool, waiting: int, seconds: float) -> None:
        """Notes where a partition stands; one that is held elsewhere has no lag here."""
        where = (service, partition.entity, str(partition.number))
        self._held.labels(*where).set(held)
        self._lag.labels(*where).set(waiting)
        self._behind.labels(*where).set(seconds)
