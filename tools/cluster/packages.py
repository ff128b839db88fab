"""The Debian packages of `packages.txt`: which are missing, and their installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster.errors import ClusterError

LIST = Path(__file__).parent / "packages.txt"
POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Names of packages whose program is not on this machine."""
    lines = [line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return [package for package, program in lines if shutil.which(program, path=path) is None]


def require() -> None:
    """Install what is missing where that was asked for (CI=true or SLUICE_INSTALL=1); say how otherwise."""
    wanted = missing()
    if not wanted:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *wanted]
    asked = os.environ.get("CI") == "true" or os.environ.get("SLUICE_INSTALL") == "1"
    if not (asked and os.geteuid() == 0 and shutil.which("apt-get")):
        raise ClusterError(f"missing: {', '.join(wanted)}", f"as root: {' '.join(command)}   (or set SLUICE_INSTALL=1)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _nothing_is_started():
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
        subprocess.run([*command[:2], "-qq", *command[2:]], env=environment, stdout=subprocess.DEVNULL, check=True)


@contextmanager
def _nothing_is_started() -> Iterator[None]:
    """Debian starts a service when its package is installed, unless this file forbids it."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
