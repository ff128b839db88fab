"""What `/metrics` tells: latencies, scores, and every row that was not ordinary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sluice.errors import RequestError
from sluice.features.schema import COMPOSED
from sluice.rollout.counts import DECILES, EDGES
from sluice_serving.answers import Identity, Scored
from sluice_serving.counters import CollectorRegistry, Counter, Gauge, Histogram

_PROBABILITIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 0.99, 0.999, 1.0)
_POWERS = tuple(10.0**power for power in range(-3, 7))
_MAGNITUDES = (*(-power for power in reversed(_POWERS)), *_POWERS)

COMPOSED_PROTOCOL = "features"
"""How requests with composed vectors are counted: a rollout judges a version by the others."""


def is_composed(path: str, model: str) -> bool:
    """Whether a request with this path asks with features, under a version's second name."""
    return f"/models/{model}{COMPOSED}" in path


def protocol_of(path: str, model: str) -> str:
    """v1, v2 or features."""
    if is_composed(path, model):
        return COMPOSED_PROTOCOL
    return "v2" if path.startswith("/v2") else "v1"


class Metrics:
    """One server's counters. Entities are role names, never keys.

    Args:
        levels: deciles of the scores that are usual for the version; empty: its levels are not counted.
    """

    def __init__(
        self, identity: Identity, task: str, registry: CollectorRegistry, levels: Sequence[float] = ()
    ) -> None:
        labels = {"model": identity.model, "version": identity.version}
        info = Gauge("sluice_model_info", "1 for the version that answers", [*labels], registry=registry)
        info.labels(**labels).set(1)
        self.seconds = Histogram(
            "sluice_request_seconds",
            "From a request's first byte in to its answer's last byte out",
            ["protocol", "status"],
            buckets=EDGES,
            registry=registry,
        )
        self._scores = Histogram(
            "sluice_score",
            "Scores: the positive class's or the top class's probability, or the value",
            buckets=_MAGNITUDES if task == "regression" else _PROBABILITIES,
            registry=registry,
        )

        self._usual = np.asarray(levels, dtype=np.float64)
        self._levels = Histogram(
            "sluice_score_level",
            "Scores by the decile of the version's usual ones that they do not exceed",
            buckets=(*DECILES, 1.0),
            registry=registry,
        )

        def counter(name: str, text: str, *names: str) -> Counter:
            return Counter(f"sluice_{name}", text, names, registry=registry)

        self._rows = counter("rows", "Rows scored")
        self.composed = counter("composed_rows", "Vectors of features scored, which no event is behind")
        self._unknown = counter("unknown_entities", "Rows whose entity has no state", "entity")
        self._stale = counter("stale_entities", "Rows whose entity's state is stale", "entity")
        self._ahead = counter("ahead", "Rows whose state is ahead of their time")
        self._repeated = counter("repeated", "Rows whose event state already holds")
        self._refused = counter("refused", "Requests refused", "reason")

    def scored(self, scored: Scored) -> None:
        """Counts the rows of an answer."""
        top = scored.scores.max(axis=1) if scored.scores.ndim == 2 else scored.scores
        self._rows.inc(len(top))
        for score in top.tolist():
            self._scores.observe(score)
        if len(self._usual):
            for level in np.searchsorted(self._usual, top, side="left").tolist():
                self._levels.observe((level + 1) / 10)
        for counter, flags in ((self._unknown, scored.unknown), (self._stale, scored.stale)):
            for entities in flags:
                for entity in entities:
                    counter.labels(entity).inc()
        self._ahead.inc(int(np.count_nonzero(scored.ahead)))
        self._repeated.inc(int(np.count_nonzero(scored.repeated)))

    def refused(self, error: RequestError) -> None:
        """Counts a refusal under its reason: body, field, rows, size, unknown, stale."""
        self._refused.labels(getattr(error, "reason", "request")).inc()
