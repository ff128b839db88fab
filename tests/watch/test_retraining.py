"""The loop closes on one machine: the monitor starts the training that it decided on, also after it was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from planted import log_answers

from sluice.features.historical import feature_rows
from sluice.ingest import ingest
from sluice.planning import plan_steps
from sluice.promotion import gate_challenger
from sluice.registry import Registry, RunLog, open_registry, why
from sluice.selection import select_challenger
from sluice.settings import UseCase, read_use_case
from sluice.settings.base import read_instant
from sluice.simulate import World, write_raw
from sluice.splits.files import write_split
from sluice.steps import silent
from sluice.training.task import train_from_folders
from sluice.watch.acting import act
from sluice.watch.records import read_windows

ROOT = Path(__file__).parents[2]
WORLD = World(days=78, cards=400, terminals=300)
LIVE = WORLD.start + timedelta(days=56)
CANDIDATES: list[dict[str, Any]] = [
    {"id": "constant", "kind": "constant"},
    {"id": "logistic", "kind": "logistic", "params": {"C": 0.01}},
]
AT = "2018-06-17T02:00:00Z"
# Two monitors and a whole training, each step a process of its own: two minutes of one core.
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(900)]


@dataclass
class Place:
    """A small world whose champion answers the wrong way round from the day that it is live."""

    folder: Path
    use_case: UseCase
    registry: Registry

    def monitor(self) -> subprocess.Popen[bytes]:
        """`sluice monitor` of the day after a whole window."""
        words = ["monitor", "use_cases/fraud.yaml", "--overlay", str(self.folder / "overlay.yaml"), "--at", AT]
        words += ["--work", str(self.folder / "work")]
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen([sys.executable, "-m", "sluice_cli", *words], cwd=ROOT, stdout=said, stderr=said)

    def said(self) -> str:
        """What the last monitor printed, on one line."""
        return " ".join((self.folder / "said.txt").read_text().split())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("retraining")
    write_raw(WORLD, 5, folder / "raw")
    overlay: dict[str, Any] = {
        "data": {"source": str(folder / "raw"), "end": LIVE.isoformat()},
        "storage": {"url": str(folder / "store"), "keys": str(folder / "keys")},
        "split": {"train": "21d", "test": "10d"},
        "training": {"candidates": CANDIDATES},
        "evaluation": {"bootstrap": {"resamples": 100}},
        "gate": {"max_calibration_error": 1.0, "parity_rows": 20},
        "rollout": {"enabled": False},
        # What moved is not asked here: a window whose figures have fallen is enough.
        "watch": {"min_rows": 1_000_000, "rules": {"violated": 1, "of": 1}},
    }
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    use_case = read_use_case(ROOT / "use_cases" / "fraud.yaml", overlays=[folder / "overlay.yaml"])
    version = _first_champion(use_case, folder)
    registry = open_registry(use_case, clock=lambda: datetime.now(UTC), actor="test")
    raw = pl.read_parquet(folder / "raw" / "*.parquet").filter(pl.col("time") >= LIVE)
    wrong = 0.9 - 0.8 * pl.col("fraud")
    answers = raw.select(pl.col("transaction_id").cast(str).alias("id"), "time", "amount", score=wrong)
    log_answers(registry, version, answers)
    return Place(folder, use_case, registry)


def test_a_monitor_killed_in_the_training_that_it_started_starts_it_again_by_its_name(place: Place) -> None:
    first = place.monitor()
    started = '"kind": "started", "step": "ingest"'
    _wait(first, lambda: any(started in log.read_text() for log in (place.folder / "work" / "runs").glob("*/log.txt")))
    first.kill()
    first.wait()
    (decision,) = _retrainings(place.registry)
    run = decision.figures["run"]
    _wait(None, lambda: not _training(place.folder / "work" / "runs" / run / "request.json"))
    assert {one.id: one.status for one in _runs(place)}[run] == "running"

    assert place.monitor().wait() == 3, place.said()
    assert "decided before" in place.said() and f"Training anew: run {run}" in place.said()
    assert [one.number for one in _retrainings(place.registry)] == [decision.number]
    (ended,) = (one for one in _runs(place) if one.id.startswith(run) and one.status != "running")
    assert ended.status in ("promoted", "refused")
    story = why(place.registry)
    (chain,) = story["retrainings"]
    assert chain["run"] == run and chain["verdict"]["kind"] == ended.status
    assert f"The monitor started run {run}" in story["text"]
    assert f"verdict: version {chain['verdict']['version'][:12]} {ended.status}" in story["text"]

    (window,) = read_windows(place.registry.store, "fraud", decision.version)
    (gate,) = (one for one in place.registry.log() if one.actor == "gate of run first" and one.kind == "promoted")
    stored = json.loads(place.registry.evidence(gate, "sealed_metrics.json"))["metrics"]
    assert window["performance"]["promised"] == stored["average_precision"], "what the gate found, not a figure like it"

    assert not act(place.registry, place.use_case, at=read_instant(AT, "at")).retrains, "it has ended"


def _first_champion(use_case: UseCase, folder: Path) -> str:
    """What the training pipeline's steps do, in this process."""
    planned = plan_steps(use_case.model_dump(mode="json", by_alias=True), "first", lambda: datetime.now(UTC))
    history = ingest(use_case, now=datetime.now(UTC))
    history.write(folder / "history")
    rows = feature_rows(use_case, history.events, history.labels)
    parts = {name: folder / name for name in ("train", "validation", "sealed")}
    write_split(use_case, rows, history, **parts)
    seen = {"train": parts["train"], "validation": parts["validation"]}
    trained = [folder / candidate["id"] for candidate in CANDIDATES]
    for each in trained:
        train_from_folders(use_case, each.name, **seen, folder=each, progress=silent)
    select_challenger(use_case, trained, **seen, code=planned.code, folder=folder / "challenger")
    gated = gate_challenger(
        use_case,
        run_id="first",
        challenger=folder / "challenger",
        train=parts["train"],
        sealed=parts["sealed"],
        history=folder / "history",
        folder=folder / "verdict",
    )
    assert gated.decision == "promoted"
    return gated.version


def _retrainings(registry: Registry) -> list[Any]:
    return [one for one in registry.log() if one.kind == "retraining"]


def _runs(place: Place) -> list[Any]:
    return RunLog(place.registry.store, "fraud", clock=lambda: datetime.now(UTC)).list()


def _training(request: Path) -> list[str]:
    """The processes that run this request."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(request) in words:
            found.append(process.name)
    return found


def _wait(process: subprocess.Popen[bytes] | None, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not check():
        assert process is None or process.poll() is None, "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.1)
