"""A server as a process of the test run, and what is said where one cannot be had."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
STARTS_WITHIN = 240.0
"""Seconds until a server has to answer."""

# However the tests end, even by kill -9, the kernel then ends the servers.
_ENDED_WITH_THE_TESTS = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []

_PORTS = random.SystemRandom()

missing: dict[str, str] = {}
"""Servers that tests wanted and that are not here, with how to get them; told at the end of the run."""


@dataclass
class Server:
    """A server of our own in a process group of its own."""

    command: list[str]
    address: str
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again) and wait until its port answers."""
        self.process = subprocess.Popen(
            [*_ENDED_WITH_THE_TESTS, *self.command],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        host, port = self.address.rsplit(":", 1)
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.command[0]} ended at once with {self.process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"{self.command[0]} does not answer at {self.address}")

    def kill(self) -> None:
        """End it the hard way, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self, paused: bool = True) -> None:
        """Keep its connections open and answer nothing, or go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody gets by asking for any.

    It lies below the range from which Linux gives ports to clients and to servers that ask for port 0: another
    test's connection cannot take it before it is used. It is drawn, so that two runs at once do not meet.
    """
    for _ in range(100):
        port = _PORTS.randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("a hundred ports between 10,000 and 30,000 are all taken")


def without(name: str, advice: str) -> NoReturn:
    """Skip the test for want of a server, or fail where nothing may be skipped."""
    missing[name] = advice
    if os.environ.get("SLUICE_TESTS_COMPLETE") == "1":
        pytest.fail(f"{name} is not here and nothing may be skipped: {advice}", pytrace=False)
    pytest.skip(f"{name} is not here")
