"""The network, mount and process namespaces that hold the cluster, and getting into them.

One process holds them: `unshare`, whose only child is process 1 inside. When that is killed the kernel ends
everything inside and takes mounts, interfaces and firewall rules with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.places import ROOT, Home


@dataclass(frozen=True)
class Namespace:
    """A cluster that runs: the ids of `unshare` and of process 1, as they are seen from outside."""

    holder: int
    first: int

    def command(self, arguments: Sequence[str], *, network_only: bool = False) -> list[str]:
        """A command that runs `arguments` inside; with `network_only` files and processes stay those outside."""
        spaces = ["--net"] if network_only else ["--net", "--mount", "--pid", f"--wd={Path.cwd()}"]
        return ["nsenter", f"--target={self.first}", *spaces, "--", *arguments]


def create(home: Home, *, ends_with_caller: bool) -> Namespace:
    """New namespaces with their network set up; `ends_with_caller` ends them however the caller ends."""
    bond = ["setpriv", "--pdeathsig", "KILL"] if ends_with_caller else []
    spaces = ["unshare", "--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL"]
    first = ["env", f"--chdir={ROOT}", sys.executable, "-m", "tools.cluster.first"]
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "namespace.log"
    holder, said = _spawn([*bond, *spaces, "--mount-proc", "--", *first], home, log)
    if said != b"ready\n":
        os.waitpid(holder, 0)
        reason = log.read_text(errors="replace").strip()
        raise ClusterError(f"no namespaces for the cluster:\n{reason}", "run it as root of a machine, not a container")
    made = Namespace(holder, _only_child(holder))
    home.state.write_text(json.dumps({"holder": made.holder, "first": made.first, "began": _began(made.first)}))
    return made


def _spawn(command: list[str], home: Home, log: Path) -> tuple[int, bytes]:
    """Start a process that is meant to outlive this function, and read its first line."""
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
        (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    ]
    environment = {**os.environ, "SLUICE_CLUSTER_HOME": str(home.path)}
    pid = os.posix_spawnp(command[0], command, environment, file_actions=actions, setsid=True)
    os.close(writing)
    with os.fdopen(reading, "rb") as output:
        return pid, output.readline()


def find(home: Home) -> Namespace | None:
    """The namespaces that this home's cluster runs in, if it runs."""
    try:
        state = json.loads(home.state.read_text())
        # A process id is used again some day: only the start time says that it is the one that was recorded.
        if _began(state["first"]) != state["began"]:
            return None
    except (FileNotFoundError, ProcessLookupError, ValueError, KeyError):
        return None
    return Namespace(state["holder"], state["first"])


def destroy(home: Home) -> bool:
    """End every process inside; False when there was none."""
    found = find(home)
    if found is not None:
        os.kill(found.first, signal.SIGKILL)
        _until_gone(found.first)
        with suppress(ChildProcessError):  # it may be another process's child
            os.waitpid(found.holder, 0)
    home.state.unlink(missing_ok=True)
    return found is not None


def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while _runs(pid):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"process {pid}, which holds the cluster, does not end", "look for a hung mount in dmesg"
            )
        time.sleep(0.05)


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _runs(pid: int) -> bool:
    try:
        return _stat(pid)[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _began(pid: int) -> str:
    """When the process started, in ticks since the machine did."""
    return _stat(pid)[19]
