"""Feast stores of our own making: a repository's definitions with a run's registry, files and online store.

Nothing here touches the registry or the stores that the repository itself names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig

from sluice.features.repository import Repository, quiet_feast

OFFLINE_STORE = "sluice.windows.feast_store.WindowOfflineStore"
_KEY_VERSION = 3


def open_store(
    repository: Repository,
    folder: Path,
    project: str,
    *,
    sources: Mapping[str, Path] | None = None,
    online_store: Mapping[str, Any] | None = None,
) -> FeatureStore:
    """A feature store of the repository's definitions whose registry lies in `folder`, applied.

    Args:
        sources: files in place of those that the repository declares, by source name.
        online_store: Feast's own settings of the online store; None: no online store.
    """
    config = RepoConfig(
        project=project,
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": OFFLINE_STORE, "sources": {n: str(p.resolve()) for n, p in (sources or {}).items()}},
        online_store=dict(online_store) if online_store else None,
        entity_key_serialization_version=_KEY_VERSION,
        repo_path=repository.path.resolve(),
    )
    with quiet_feast():
        store = FeatureStore(repo_path=str(folder), config=config)
        store.apply(list(repository.objects))
    return store
