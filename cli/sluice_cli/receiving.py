"""The payload ledger's receiver as a process on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from sluice.errors import WatchError
from sluice.processes import started
from sluice.settings import UseCase

CALLERS = "callers.yaml"
_ACCEPTED, _WAITING = "sluice_payload_accepted_total", "sluice_payload_spool_bytes"
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class ReceiverProcess:
    """A receiver that listens."""

    address: str
    process: subprocess.Popen[str]

    def settle(self, events: int, *, within: float = _GRACE_SECONDS) -> None:
        """Return when this process has taken so many events, and all that it took is in the store.

        Raises:
            WatchError: they do not get there in time.
        """
        deadline = monotonic() + within
        while True:
            taken, waiting = (self._sum(name) for name in (_ACCEPTED, _WAITING))
            if taken >= events and waiting == 0:
                return
            if monotonic() > deadline or self.process.poll() is not None:
                raise WatchError(f"the ledger has {taken:,.0f} of {events:,} events", "see what its receiver says")
            sleep(0.05)

    def _sum(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=_GRACE_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


@contextmanager
def receiving(
    settings: UseCase, place: Path, port: int = 0, *, forward: str | None = None
) -> Iterator[ReceiverProcess]:
    """A receiver for the use case's store while the block lasts; what it took is in the store or the spool after.

    Args:
        place: folder of its spool and of the file of callers, which has to be there.
        forward: address of a drift server that is told of all that became durable.

    Raises:
        WatchError: it does not start; it said why.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(settings.payloads.model_dump_json())
        file.flush()
        command = [sys.executable, "-m", "sluice_serving.payloads", "--settings", file.name, "--port", str(port)]
        command += ["--spool", str(place / "spool"), "--callers", str(place / CALLERS)]
        command += ["--forward", forward] if forward else []
        with started(command, _environment(settings), grace=_GRACE_SECONDS) as (process, said):
            if said is None:
                raise WatchError(f"the receiver ended with status {process.wait()}", "it said why above")
            yield ReceiverProcess(said["address"], process)


def _environment(settings: UseCase) -> dict[str, str]:
    storage = settings.storage
    told = {
        "SLUICE_STORE_URL": storage.url,
        "SLUICE_STORE_ENDPOINT": storage.endpoint or "",
        "SLUICE_STORE_REGION": storage.region,
        "SLUICE_STORE_ALLOW_HTTP": str(storage.allow_http).lower(),
    }
    return {**os.environ, **told}
