"""The champion as a server process on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import RegistryError, SluiceError
from sluice.processes import started
from sluice.registry import Keys
from sluice.registry.servable import Servable, load_servable
from sluice.settings import UseCase
from sluice_cli.people import registry_for

GRACE_SECONDS = 35


@dataclass(frozen=True)
class Endpoint:
    """A server that listens."""

    address: str
    model: str
    version: str


@dataclass(frozen=True)
class Fetched:
    """A version's files on this machine, and the public keys that vouch for it."""

    folder: Path
    digest: str
    keys: Path

    def servable(self) -> Servable:
        """What the server would load; raises as it does."""
        return load_servable(self.folder, self.digest, Keys.open(self.keys))


def fetch_champion(use_case: UseCase, work: Path) -> Fetched:
    """The champion, with every digest and the signature checked.

    Raises:
        RegistryError: nothing is live.
        IntegrityError: the store's champion is not what the gate signed.
    """
    registry = registry_for(use_case)
    champion = registry.champion()
    if champion is None:
        raise RegistryError(f"{use_case.name} has no champion in {registry.store.url}", "run `sluice run` first")
    folder = registry.fetch(champion, work / "versions" / champion.digest)
    return Fetched(folder, champion.digest, Path(use_case.storage.keys))


@contextmanager
def running(
    fetched: Fetched,
    online: Path,
    port: int = 0,
    pseudonym_key: str | None = None,
    payloads: str | None = None,
    token: str | None = None,
) -> Iterator[Endpoint]:
    """A server process for a version while the block lasts.

    Args:
        pseudonym_key: file with the secret of hashed columns; default: where the version's settings say.
        payloads: address of the payload ledger's receiver, which the server sends its answers to.
        token: names the server to the receiver; default: what the environment says.

    Raises:
        SluiceError: it does not start; the message is its own.
    """
    command = [sys.executable, "-m", "sluice_serving", str(fetched.folder), "--digest", fetched.digest]
    command += ["--keys", str(fetched.keys), "--online", str(online), "--port", str(port)]
    command += ["--pseudonym-key", pseudonym_key] if pseudonym_key else []
    command += ["--payloads", payloads] if payloads else []
    environment = {**os.environ, **({"SLUICE_PAYLOADS_TOKEN": token} if token else {})}
    log = fetched.folder.with_suffix(".log")
    with log.open("w") as errors, started(command, environment, errors=errors, grace=GRACE_SECONDS) as (process, said):
        if said is None:
            process.wait()
            raise SluiceError(f"the server did not start: {log.read_text().strip()[-500:]}", f"see {log}")
        yield Endpoint(**said)
