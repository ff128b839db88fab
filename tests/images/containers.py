"""Containers as strict as a restricted pod: read-only root, no capability, no network, the image's own user."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.images.running import runner, start

USER = 65532


@dataclass(frozen=True)
class Image:
    """An image in podman's or docker's store."""

    reference: str
    folders: Mapping[Path, str] = field(default_factory=dict)
    """Folders of this machine, and where the container may write them."""

    def run(self, *words: str, entrypoint: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return _call([*self._start("--rm"), *_entrypoint(entrypoint), self.reference, *words])

    def start(self, *words: str) -> Container:
        """Start what the image is for."""
        started = _call([*self._start("--detach"), self.reference, *words])
        assert started.returncode == 0, started.stderr
        return Container(started.stdout.strip())

    def python(self, program: str, *words: str) -> str:
        """What a Python program prints in the image's environment."""
        done = self.run("-c", program, *words, entrypoint="python3")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def configuration(self) -> dict[str, object]:
        """What the image says of itself: Labels, User, Entrypoint."""
        said = _call([*runner(), "image", "inspect", self.reference])
        found: dict[str, object] = json.loads(said.stdout)[0]["Config"]
        return found

    def _start(self, *options: str) -> list[str]:
        folders = [f"--volume={here}:{there}" for here, there in self.folders.items()]
        return [*start(*options), *folders]


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    name: str

    def python(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program beside it."""
        return _call([*runner(), "exec", self.name, "python3", "-c", program, *words])

    def log(self) -> str:
        """What it said."""
        done = _call([*runner(), "logs", self.name])
        return done.stdout + done.stderr

    def status(self) -> int:
        """Its exit status, once it has ended."""
        return int(_call([*runner(), "wait", self.name]).stdout)

    def stop(self) -> int:
        """Tell it to stop; its exit status."""
        _call([*runner(), "stop", "--time=30", self.name])
        return self.status()

    def remove(self) -> None:
        """Leave nothing of it."""
        _call([*runner(), "rm", "--force", self.name])

    def eventually(self, program: str, *words: str, within: float = 120.0) -> str:
        """What a program prints once it succeeds."""
        deadline = time.monotonic() + within
        while (done := self.python(program, *words)).returncode != 0:
            assert time.monotonic() < deadline, done.stderr + self.log()
            time.sleep(0.3)
        return done.stdout


def given_to_the_image(folder: Path) -> Path:
    """The folder, as the image's user may write it."""
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, USER, USER)
    return folder


def _entrypoint(name: str | None) -> list[str]:
    return [f"--entrypoint={name}"] if name else []


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
