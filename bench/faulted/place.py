"""The small world that faults hit: raw data, a use case file, a store, and the real `sluice run` on them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from faulted.fault import require
from sluice.registry import Registry, Verification, Version, open_registry, verify
from sluice.settings import UseCase, read_use_case
from sluice.simulate import World, write_raw
from sluice.steps import read_line

ROOT = Path(__file__).parents[2]
WORLD = World(days=62, cards=400, terminals=300)
ALWAYS_RUN = {"plan", "gate", "materialise"}
LONGEST = 600
"""Seconds after which a command hangs, which is no way to survive."""


@dataclass
class Ended:
    """A run that ended: exit status (negative: the signal), everything it said, and the steps that it finished."""

    status: int
    said: str
    steps: list[str]


@dataclass
class Place:
    """Where the faults happen; they share its store unless they take a copy."""

    folder: Path
    changes: dict[str, Any]
    finished: set[str] = field(default_factory=set)
    """Steps whose output can be reused."""

    @staticmethod
    def make(folder: Path) -> Place:
        """Simulate the world."""
        write_raw(WORLD, 5, folder / "raw")
        return Place(folder, {})

    def use_case(self, **changes: Any) -> UseCase:
        """The settings; `changes` by dotted path, with `__` for the dot."""
        document: dict[str, Any] = {
            "data.source": str(self.folder / "raw"),
            "features.repo": str(ROOT / "feature_repo"),
            "storage.url": str(self.folder / "store"),
            "storage.keys": str(self.folder / "keys"),
            "split.train": "28d",
            "split.test": "10d",
            "training.candidates": [
                {"id": "constant", "kind": "constant"},
                {"id": "logistic", "kind": "logistic", "params": {"C": 0.01}},
            ],
            "evaluation.bootstrap.resamples": 200,
            "gate.max_calibration_error": 0.2,
            "gate.parity_rows": 40,
        }
        given = {name.replace("__", "."): value for name, value in changes.items()}
        return read_use_case(ROOT / "use_cases" / "fraud.yaml", document | self.changes | given)

    def registry(self, use_case: UseCase | None = None, **given: Any) -> Registry:
        """The registry, opened anew."""
        clock: Callable[[], datetime] = given.pop("clock", lambda: datetime.now(UTC))
        return open_registry(use_case or self.use_case(), clock=clock, actor=given.pop("actor", "somebody"))

    def check_sound(self, use_case: UseCase | None = None) -> Verification:
        """Raise unless a store is sound, down to the last digest and signature."""
        registry = self.registry(use_case)
        found = verify(registry.store, registry.keys)
        require(found.sound, "; ".join(f"{p.where}: {p.what}" for p in found.problems))
        return found

    def champion(self) -> Version:
        """The champion; a run makes one where there is none yet."""
        champion = self.registry().champion()
        if champion is None:
            ended = self.run()
            require(ended.status == 0, f"the run failed: {ended.said[-500:]}")
            champion = self.registry().champion()
        require(champion is not None, "there is no champion")
        assert champion is not None
        return champion

    def copy(self, name: str) -> UseCase:
        """The settings of a copy of the filled store, to break things in."""
        self.champion()
        target = self.folder / "copies" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder / "store", target)
        return self.use_case(storage__url=str(target))

    @property
    def online(self) -> Path:
        """The embedded online store that the runs brought up to date."""
        return self.folder / "work" / "online" / "fraud"

    def write_settings(self, use_case: UseCase | None = None) -> Path:
        """The settings as a use case file."""
        path = self.folder / "use_case.yaml"
        document = (use_case or self.use_case()).model_dump(mode="json", by_alias=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def start(self, use_case: UseCase | None = None, *, before: list[str] | None = None) -> Running:
        """Start `sluice run` in a process group of its own; `before` are words in front of the command."""
        known = set(self._runs())
        settings = str(self.write_settings(use_case))
        command = [*(before or []), sys.executable, "-m", "sluice_cli", "run", settings]
        command += ["--work", str(self.folder / "work")]
        said = (self.folder / f"said-{time.monotonic_ns()}.txt").open("w+")
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT)
        return Running(self, process, Path(said.name), known)

    def run(self, use_case: UseCase | None = None, *, before: list[str] | None = None) -> Ended:
        """`sluice run` to its end."""
        return self.start(use_case, before=before).ended()

    def _runs(self) -> list[Path]:
        return sorted((self.folder / "work" / "runs").glob("*/log.txt"))


@dataclass
class Running:
    """A `sluice run` that goes on."""

    place: Place
    process: subprocess.Popen[bytes]
    said: Path
    known: set[Path]

    def lines(self) -> list[dict[str, Any]]:
        """What the run's steps have told so far."""
        logs = [log for log in self.place._runs() if log not in self.known]
        text = logs[0].read_text() if logs else ""
        return [fields for line in text.splitlines() if (fields := read_line(line)) is not None]

    def wait_for(self, **wanted: str) -> bool:
        """Wait until a line with these fields was told; False when the run ended without it."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if any(wanted.items() <= line.items() for line in self.lines()):
                return True
            if ended:
                return False
            time.sleep(0.02)
        self.kill()
        return False

    def kill(self) -> None:
        """SIGKILL to everything that the run started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ended(self) -> Ended:
        """Wait for the end."""
        try:
            status = self.process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self.process.returncode
        steps = [line["step"] for line in self.lines() if line["kind"] == "finished"]
        again = [step for step in steps if step in self.place.finished]
        require(not again, f"steps that were finished ran again: {', '.join(again)}")
        # A kill may come between a step's last word and kfp's note that its output can be reused.
        self.place.finished |= set(steps if status >= 0 else steps[:-1]) - ALWAYS_RUN
        return Ended(status, " ".join(self.said.read_text().split()), steps)
