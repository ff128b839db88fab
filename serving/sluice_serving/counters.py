"""Prometheus metrics whose values stand in this process's memory.

Feast, imported before prometheus_client or by the process that started this one, sets PROMETHEUS_MULTIPROC_DIR:
values then stand in files by name and labels, all registries of a process share them, and a folder that its parent
removes at its end holds them. Our servers are one process each.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

__all__ = ["CollectorRegistry", "Counter", "Gauge", "Histogram"]

values.ValueClass = values.MutexValue
