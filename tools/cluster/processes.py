"""Starting servers and waiting for them; runs inside the cluster's namespaces."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from tools.cluster.errors import ClusterError
from tools.cluster.parts import Part
from tools.cluster.places import Home

STARTS_WITHIN = 120.0
"""Seconds; the machine may be busy."""


def start(parts: Sequence[Part], home: Home) -> None:
    """Start them together, and come back when all are ready."""
    began = time.monotonic()
    running = [(part, _spawn(part, home)) for part in parts]
    for part, process in running:
        _wait(part, process, home)
        print(f"{part.name} is ready after {time.monotonic() - began:.1f} s", flush=True)


def _spawn(part: Part, home: Home) -> subprocess.Popen[bytes]:
    home.logs.mkdir(parents=True, exist_ok=True)
    # kubelet and containerd look for mount, iptables and runc, which are not on every user's PATH.
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    with (home.logs / f"{part.name}.log").open("wb") as log:
        return subprocess.Popen(
            part.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": path, **part.environment},
            start_new_session=True,
        )


def _wait(part: Part, process: subprocess.Popen[bytes], home: Home) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not _answers(part.ready):
        log = home.logs / f"{part.name}.log"
        if process.poll() is not None:
            raise ClusterError(f"{part.name} ended:\n{_last_lines(part, home)}", f"read {log}")
        if time.monotonic() > deadline:
            raise ClusterError(f"{part.name} is not ready after {STARTS_WITHIN:.0f} s", f"read {log}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        if address.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address.removeprefix("unix:"))
            return True
        # Several of them sign their own certificate; nobody else is in this network.
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(address, timeout=2, context=context):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _last_lines(part: Part, home: Home) -> str:
    text = (home.logs / f"{part.name}.log").read_text(errors="replace")
    return "\n".join(text.splitlines()[-8:])
