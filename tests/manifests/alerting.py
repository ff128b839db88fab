"""The rules and the dashboard as they are rendered, and the metrics that our servers export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from sluice.watch.alibi.drift_metrics import DriftMetrics
from sluice.watch.alibi.metrics import ExplainerMetrics
from sluice_serving.answers import Identity
from sluice_serving.metrics import Metrics
from sluice_serving.payloads.metrics import ReceiverMetrics
from sluice_serving.updater.metrics import Metrics as UpdaterMetrics
from tests.manifests.recorded import families
from tests.manifests.rendered import named, of_kind, overlay

TARGET_LABELS = {"namespace", "pod", "container", "endpoint", "job", "instance", "serving_kserve_io_inferenceservice"}
"""What the Prometheus operator adds to the series of a PodMonitor, with the one of podTargetLabels."""
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_DURATION = r"(\d+)(s|m|h)\b"


def groups() -> list[dict[str, Any]]:
    """The groups of all PrometheusRules of `standard`."""
    return [group for found in of_kind(overlay("standard"), "PrometheusRule") for group in found["spec"]["groups"]]


def rules() -> list[dict[str, Any]]:
    """All their rules."""
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    return dict(json.loads(named(overlay("standard"), "ConfigMap", "sluice-dashboard")["data"]["sluice.json"]))


def panel_expressions() -> Iterator[tuple[str, str]]:
    """Title and expression of every panel's targets, Grafana's variables replaced."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$namespace", ".+")


def shortened(text: str, factor: float) -> str:
    """A rule's expression, or a duration, with every duration made shorter, and nothing else changed."""

    def short(found: re.Match[str]) -> str:
        seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
        return f"{max(1, round(seconds * 1000 / factor))}ms"

    if re.fullmatch(_DURATION, text):
        return re.sub(_DURATION, short, text)
    return re.sub(r"\[(\d+[smh])\]", lambda found: f"[{re.sub(_DURATION, short, found[1])}]", text)


@cache
def exported() -> dict[str, set[str]]:
    """Every series that our servers export, with its labels, but for what the operator adds."""
    registry = CollectorRegistry()
    Metrics(Identity("fraud", "v1", ("amount",), ()), "binary", registry, [0.5])
    UpdaterMetrics(registry)
    ReceiverMetrics(registry).watch(lambda: 0.0, lambda: 0)
    ExplainerMetrics(registry)
    DriftMetrics(registry, "fraud", "v1")
    found: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate"}}
    # A family without a series yet tells its labels nowhere else.
    for metric in registry._collector_to_names:
        (family,) = metric.describe()
        found |= {name: set(metric._labelnames) for name in _series(family)}  # type: ignore[attr-defined]
    found |= {family.name: set(family._labelnames) for family in families()}  # type: ignore[attr-defined]
    return found


def _series(family: Metric) -> list[str]:
    return [family.name + suffix for suffix in _SUFFIXES[family.type]]
