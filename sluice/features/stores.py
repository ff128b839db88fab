"""Feast stores of our own making: a repository's definitions with a run's registry, files and online store.

Nothing here touches the registry or the stores that the repository itself names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from feast import FeatureStore, RepoConfig

from sluice.errors import FeatureError
from sluice.features.repository import Repository, Service, quiet_feast
from sluice.settings.features import Online

_COMMON = {"provider": "local", "entity_key_serialization_version": 3}
_WINDOWS = "sluice.windows.feast_store.WindowOfflineStore"


def historical_store(
    repository: Repository, folder: Path, sources: Mapping[str, Path], spark: Mapping[str, Any] | None = None
) -> FeatureStore:
    """A store to ask for history: registry in `folder`, `sources` in place of the declared files by name.

    Args:
        spark: the fields of a `SparkJob` that computes the windows; None: this process does.
    """
    places = {name: str(path.resolve()) for name, path in sources.items()}
    config = RepoConfig(
        project="history",
        registry=str(folder / "registry.db"),
        offline_store={"type": _WINDOWS, "sources": places, "spark": spark},
        online_store=None,
        repo_path=repository.path.resolve(),
        **_COMMON,
    )
    return _applied(repository, folder, config)


def online_config(service: Service, name: str, settings: Online, folder: Path) -> RepoConfig:
    """Feast's settings of the state that serves one feature service of one use case.

    The project's name holds a digest of the windows: a service whose windows change gets state of its own, beside
    the old one, which a rollback then still finds.
    """
    folder = folder.resolve()
    return RepoConfig(
        project=f"{name.replace('-', '_')}_{service.name}_{service.digest[:8]}",
        registry=str(folder / "registry.db"),
        online_store=_online_store(settings, folder),
        repo_path=folder,
        **_COMMON,
    )


def apply_online(repository: Repository, config: RepoConfig, folder: Path) -> None:
    """Register the definitions beside the state, once: `FeatureStore(repo_path=folder)` then opens it."""
    note = folder / "feature_store.yaml"
    document = {
        "project": config.project,
        "registry": str(folder.resolve() / "registry.db"),
        "online_store": config.online_store.model_dump(mode="json", exclude_defaults=True)
        | {"type": config.online_store.type},
        **_COMMON,
    }
    text = yaml.safe_dump(document, sort_keys=False)
    if note.is_file() and note.read_text(encoding="utf-8") == text:
        return
    _applied(repository, folder, config)
    note.write_text(text, encoding="utf-8")


def _online_store(settings: Online, folder: Path) -> dict[str, Any]:
    if settings.store == "redis":
        # Its password is the connection's (`redis_rows.connect`): what is here is written to files.
        return {"type": "redis", "connection_string": redis_address(settings, settings.address)}
    return {"type": "sqlite", "path": str(folder / "online.db")}


def redis_address(settings: Online, address: str | None) -> str:
    """The address as Feast writes it, with what the settings say of TLS."""
    words = [str(address)]
    if settings.tls:
        words.append("ssl=true")
        words += [f"ssl_ca_certs={settings.ca}"] if settings.ca else []
    return ",".join(words)


def _applied(repository: Repository, folder: Path, config: RepoConfig) -> FeatureStore:
    with quiet_feast():
        store = FeatureStore(repo_path=str(folder), config=config)
        try:
            store.apply(list(repository.objects))
        except (ValueError, TypeError, OSError) as error:
            raise FeatureError(
                f"{repository.path}: Feast refuses its definitions: {error}", "`feast apply` there says the same"
            ) from error
    return store
