"""The way to move traffic that a use case's settings name, and where labelled answers come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sluice.registry import Registry
from sluice.rollout.ledger_labels import LedgerLabels, known_labels
from sluice.settings import UseCase
from sluice_serving.cluster import Cluster
from sluice_serving.traffic.knative import KnativeTraffic
from sluice_serving.traffic.local import LocalTraffic
from sluice_serving.traffic.standard import StandardTraffic


@contextmanager
def local_traffic(
    settings: UseCase, registry: Registry, work: Path, online: Path, port: int = 0
) -> Iterator[LocalTraffic]:
    """Versions of a registry as processes on this machine, each fetched and verified before it starts."""

    def arguments(version: str) -> Sequence[str]:
        folder = registry.fetch(registry.version(version), work / "versions" / version)
        places = ["--digest", version, "--keys", settings.storage.keys, "--online", str(online)]
        ledger = settings.payloads.address
        return [str(folder), *places, *(["--payloads", ledger] if ledger else [])]

    within = settings.rollout.cluster.request_timeout.total_seconds()
    with LocalTraffic(arguments, work / "logs", port=port, seed=settings.seed, timeout=within) as traffic:
        yield traffic


def cluster_traffic(settings: UseCase, sleep: Callable[[float], None] = time.sleep) -> StandardTraffic | KnativeTraffic:
    """Versions on the cluster of the current context, or of the pod that this is.

    Raises:
        ClusterError: no cluster is configured.
    """
    kind = StandardTraffic if settings.rollout.where == "standard" else KnativeTraffic
    return kind(Cluster.open(), settings.name, settings.rollout.cluster, sleep=sleep)


def labelled_answers(settings: UseCase, registry: Registry) -> LedgerLabels | None:
    """The payload ledger's answers with the labels of the use case's source; None where labels are not watched."""
    if not settings.rollout.labels.enabled:
        return None
    return LedgerLabels(
        registry.store,
        settings,
        labels=lambda: known_labels(settings, datetime.now(UTC)),
        levels=lambda version: registry.version(version).document.get("score_levels", ()),
    )
