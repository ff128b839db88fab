"""The endpoint: killed, given a version that nobody signed, and robbed of its state."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faulted.fault import Fault, NotSurvivedError, require
from faulted.place import Place
from sluice.errors import RequestError
from sluice.features.online import OnlineFeatures
from sluice.ingest import Ingested, ingest
from sluice_serving.traffic.process import ServerProcess

READY_WITHIN = 120.0


@dataclass(frozen=True)
class Deployment:
    """The champion's files, a copy of its state, and an event to ask about."""

    folder: Path
    digest: str
    keys: Path
    online: Path
    history: Ingested
    log: Path

    def arguments(self) -> list[str]:
        """The server's command line."""
        places = [str(self.folder), "--digest", self.digest, "--keys", str(self.keys)]
        return [*places, "--online", str(self.online)]

    @contextmanager
    def served(self, port: int = 0) -> Iterator[ServerProcess]:
        """A server that is ready."""
        server = ServerProcess(self.arguments(), self.log, port=port)
        server.wait_ready(READY_WITHIN)
        try:
            yield server
        finally:
            server.kill()

    def asked(self, server: ServerProcess) -> tuple[int, dict[str, Any]]:
        """Status and answer for the last event of history."""
        row = self.history.events.row(-1, named=True)
        instance = {name: row[name] for name in ("event_id", "card", "terminal")}
        instance |= {"event_time": row["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "amount": row["amount"] / 100}
        body = json.dumps({"instances": [instance]}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.address}/v1/models/fraud:predict", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())["predictions"][0]
        except urllib.error.HTTPError as error:
            return error.code, {}


def deployed(place: Place) -> Deployment:
    """Fetch the champion, and bring a state of its own up to date."""
    use_case = place.use_case()
    place.champion()
    folder = place.folder / "deployed"
    shutil.rmtree(folder, ignore_errors=True)
    champion = place.registry().fetch_champion(folder / "version")
    history = ingest(use_case, now=datetime.now(UTC))
    shutil.copytree(place.online, folder / "online")
    keys = Path(use_case.storage.keys)
    return Deployment(folder / "version", champion.digest, keys, folder / "online", history, folder / "server.log")


def _killed(place: Place) -> str:
    here = deployed(place)
    with here.served() as server:
        before = here.asked(server)
        port = int(server.address.rsplit(":", 1)[1])
    with here.served(port) as server:
        after = here.asked(server)
    require(before[0] == 200 and before == after, f"before {before}, after {after}")
    return f"the same answer on the same port: score {after[1]['score']:.4f}"


def _unsigned(place: Place) -> str:
    here = deployed(place)
    (here.folder / "version.sig").unlink()
    command = [sys.executable, "-m", "sluice_serving", *here.arguments(), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=READY_WITHIN, check=False)
    require(ended.returncode == 3, f"it ended with {ended.returncode}: {ended.stderr[-300:]}")
    said = ended.stderr.splitlines()[0].replace(str(place.folder), "…")
    return f"it does not start: {said} (exit status 3)"


def _state_corrupt(place: Place) -> str:
    here = deployed(place)
    with here.served() as server:
        before = here.asked(server)
        for file in here.online.rglob("*.db*"):
            file.write_bytes(b"no database")
        status, _ = here.asked(server)
    require(status == 503, f"on a corrupt state it answers {status}")
    return f"answers 503, then {_made_anew(place, here, before)}"


def _state_missing(place: Place) -> str:
    here = deployed(place)
    with here.served() as server:
        before = here.asked(server)
    shutil.rmtree(here.online)
    here.online.mkdir()
    try:
        with here.served() as server:
            status, answer = here.asked(server)
    except RequestError as error:
        return f"the server does not start ({error.message[:120]}), then {_made_anew(place, here, before)}"
    if status == 200:
        marks = answer
        if not (marks["unknown"] and marks["stale"]):
            raise NotSurvivedError(f"it answers without a mark: {marks}")
        return f"answers marked unknown {marks['unknown']} and stale, then {_made_anew(place, here, before)}"
    require(status == 503, f"without state it answers {status}")
    return f"answers 503, then {_made_anew(place, here, before)}"


def _made_anew(place: Place, here: Deployment, before: tuple[int, dict[str, Any]]) -> str:
    shutil.rmtree(here.online)
    online = OnlineFeatures.open(place.use_case(), here.online)
    online.materialise(here.history.events, here.history.labels)
    with here.served() as server:
        after = here.asked(server)
    require(after == before, f"before {before}, made anew {after}")
    return "made anew from history: the same answer as before"


FAULTS = [
    Fault("the server killed with -9 and started again", "the same answer", _killed),
    Fault("a version without signature given to the server", "it refuses to start", _unsigned),
    Fault(
        "the online store's file corrupted under a running server", "503, and state can be made anew", _state_corrupt
    ),
    Fault("the online store's file missing", "told or marked, and state can be made anew", _state_missing),
]
