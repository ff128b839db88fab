"""Open the registry that a use case's settings name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.settings.use_case import UseCase
from sluice.storage import open_store


def open_registry(
    use_case: UseCase, *, clock: Callable[[], datetime], actor: str, credentials: dict[str, str] | None = None
) -> Registry:
    """The registry of a use case, with the gate's keys; a key pair is made when there is none yet.

    Raises:
        StoreError: the store cannot be reached.
        RegistryError: the keys cannot be used.
    """
    store = open_store(use_case.storage, credentials=credentials)
    keys = Keys.ensure(Path(use_case.storage.keys))
    return Registry(store, use_case.name, clock=clock, actor=actor, keys=keys)
