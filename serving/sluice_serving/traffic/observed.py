"""What the rollout watches, read from the servers' own `/metrics`: on one machine and in a cluster alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from sluice.errors import RequestError
from sluice.rollout import DECILES, EDGES, Counts
from sluice_serving.metrics import COMPOSED_PROTOCOL


class MetricsObserver:
    """Counts of a version's servers, summed. What a server counted stays counted when it is gone or begins anew.

    Args:
        metrics: what each server of a version that answers says at `/metrics`, by a name that it keeps.
        unanswered: requests to a version that no server answered, as the front counted them.
    """

    def __init__(
        self, metrics: Callable[[str], Mapping[str, str]], unanswered: Callable[[str], int] = lambda _version: 0
    ) -> None:
        self._metrics, self._unanswered = metrics, unanswered
        self._last: dict[str, Counts] = {}
        self._sums: dict[str, Counts] = {}

    def counts(self, version: str) -> Counts:
        """The cumulative counts of a version.

        Raises:
            RequestError: none of its servers answers.
        """
        texts = self._metrics(version)
        if not texts:
            raise RequestError(f"no server of {version[:12]} shows its metrics", hint="see the servers' logs")
        total = self._sums.get(version, Counts())
        for server, text in texts.items():
            now = read_counts(text)
            total = total.plus(now.since(self._last.get(server, Counts())))
            self._last[server] = now
        self._sums[version] = total
        lost = self._unanswered(version)
        return total.plus(Counts(requests=lost, errors=lost))


def read_counts(text: str) -> Counts:
    """The counts in the text that a server's `/metrics` gives."""
    requests = errors = scored = 0
    within, levels = [0] * len(EDGES), [0] * len(DECILES)
    for name, labels, value in _samples(text):
        if labels.get("protocol") == COMPOSED_PROTOCOL:
            continue
        if name == "sluice_request_seconds_count":
            requests += value
            errors += value if labels.get("status", "").startswith("5") else 0
        elif name == "sluice_request_seconds_bucket" and float(labels["le"]) in EDGES:
            within[EDGES.index(float(labels["le"]))] += value
        elif name == "sluice_score_level_count":
            scored += value
        elif name == "sluice_score_level_bucket" and float(labels["le"]) in DECILES:
            levels[DECILES.index(float(labels["le"]))] += value
    return Counts(requests, errors, tuple(within), scored, tuple(levels))


def _samples(text: str) -> Iterable[tuple[str, dict[str, str], int]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("sluice_"):
                yield sample.name, sample.labels, int(sample.value)
