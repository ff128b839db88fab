"""What the explainer's `/metrics` tells."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class ExplainerMetrics:
    """One explainer's counters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.rows = Counter("sluice_explained", "Rows explained", registry=registry)
        self.calls = Counter("sluice_explainer_calls", "Calls of the predictor", registry=registry)
        self.refused = Counter("sluice_explainer_refused", "Requests refused", ["reason"], registry=registry)
        self.seconds = Histogram("sluice_explainer_seconds", "From a request to its answer", registry=registry)
