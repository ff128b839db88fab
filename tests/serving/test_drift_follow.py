"""Another version is promoted under a drift server: it is watched from then on, at the same address."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
import yaml
from drift_world import DriftProcess, admitted, drift_of, reference
from monitored import Monitored
from servers import free_port
from servers.process import without

from sluice.errors import WatchError
from sluice.processes import of_caller
from sluice.watch import door

ROOT = Path(__file__).parents[2]
WATCH = {"online": {"follow": "1s"}}


@pytest.fixture
def place(tmp_path: Path) -> Monitored:
    """A champion with a reference."""
    try:
        door.interpreter()
    except WatchError:
        without("alibi", "`make setup-alibi` sets its environment up")
    made = Monitored(tmp_path / "model")
    made.promote(1, evidence=_reference())
    return made


@pytest.fixture
def starting() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`starting(words, **variables)`: a program of ours, ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(words: list[str], **variables: str) -> subprocess.Popen[bytes]:
        environment = of_caller({**os.environ, **variables})
        running.append(subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=environment))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_what_fetches_goes_on_beside_the_server_which_ends_for_the_next_one(
    place: Monitored, starting: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    folder, public = tmp_path / "work" / "drift", tmp_path / "public"
    (tmp_path / "watch.yaml").write_text(yaml.safe_dump(WATCH))
    public.mkdir()
    (public / "gate.pub").write_bytes((place.keys.folder / "gate.pub").read_bytes())
    words = [str(folder), "--model=fraud", f"--keys={public}", f"--watch={tmp_path / 'watch.yaml'}", "--follow"]
    beside = starting(["sluice_serving.watched", *words], SLUICE_STORE_URL=str(place.place))
    _until(lambda: (folder / "drift-server.json").exists() or beside.poll() is not None)
    admitted(tmp_path / "callers.yaml")
    drift = DriftProcess(folder, tmp_path / "callers.yaml", free_port()).start()
    assert drift_of(drift.address)["version"] == place.version

    second = place.promote(2, evidence=_reference())
    assert drift.process is not None
    assert drift.process.wait(60) == 0
    drift.kill()
    assert drift_of(drift.start().address)["version"] == second
    assert len(list(folder.glob("*.parquet"))) == 1, "what the first was watched by is gone"
    assert beside.poll() is None
    drift.kill()


def test_on_one_machine_the_verb_begins_anew_at_the_same_port(
    place: Monitored, starting: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    overlay, port = tmp_path / "overlay.yaml", free_port()
    storage = {"url": str(place.place), "keys": str(place.keys.folder)}
    overlay.write_text(yaml.safe_dump({"storage": storage, "watch": WATCH}))
    admitted(tmp_path / "work" / "payloads" / "callers.yaml")
    words = ["drift-server", str(place.file), f"--overlay={overlay}", f"--port={port}", f"--work={tmp_path / 'work'}"]
    verb = starting(["sluice_cli", *words])
    _until(lambda: _version(port) == place.version)
    second = place.promote(2, evidence=_reference())
    _until(lambda: _version(port) == second)
    assert verb.poll() is None


def _reference() -> dict[str, Path | bytes]:
    written = io.BytesIO()
    reference().write_parquet(written)
    return {"reference.parquet": written.getvalue()}


def _version(port: int) -> Any:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v1/models/fraud/drift", timeout=5).json()["version"]
    except httpx.TransportError:
        return None


def _until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + 120
    while not holds():
        assert monotonic() < deadline
        sleep(0.1)
