"""Fetch the version to serve from the store, and wait for a store that does not answer yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sluice.errors import IntegrityError, RegistryError, StoreError
from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.registry.servable import Servable, load_servable
from sluice.storage import open_store
from sluice_serving.arguments import CHAMPION, Source
from sluice_serving.environment import storage_from

ANSWER_WITHIN = timedelta(seconds=10)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0


def open_for_reading(source: Source, keys: Keys, environment: Mapping[str, str]) -> Registry:
    """The registry of a model for a server, which has public keys and only reads.

    Raises:
        SettingsError, StoreError, RegistryError: the environment, the credentials or the model's name are wrong:
            nothing that waiting would mend.
    """
    store = open_store(storage_from(environment), answer_within=ANSWER_WITHIN)
    return Registry(store, source.model, clock=lambda: datetime.now(UTC), actor="server", keys=keys)


def fetch(registry: Registry, wanted: str, work: Path, keys: Keys) -> Servable:
    """The champion, or the version of this digest, checked: the log, every byte, and the gate's signature.

    A version that was fetched here before, and still holds, needs no store.

    Raises:
        IntegrityError: something is not what the gate signed.
        StoreError: the store does not answer, or refuses.
        RegistryError: there is no champion, or no such version.
    """
    if wanted != CHAMPION and (kept := _kept(work / "versions" / wanted, wanted, keys)):
        return kept
    version = registry.champion() if wanted == CHAMPION else registry.version(wanted)
    if version is None:
        raise RegistryError(f"{registry.model} has no champion", "the first run of the pipeline makes it")
    folder = registry.fetch(version, work / "versions" / version.digest)
    return load_servable(folder, version.digest, keys)


def patiently(
    work: Callable[[], Servable], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> Servable:
    """What `work` gives once the store answers; until then it is tried again, ever more rarely, and said why.

    Raises:
        IntegrityError: waiting would not mend that.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return work()
        except IntegrityError:
            raise
        except (StoreError, RegistryError) as error:
            say(f"waiting: {error}")
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _kept(folder: Path, digest: str, keys: Keys) -> Servable | None:
    try:
        return load_servable(folder, digest, keys)
    except IntegrityError:
        return None
