"""A cluster of its own is started for these tests: whatever ends it, the machine is as it was before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.cluster import cluster as clusters
from tools.cluster.places import ROOT, Home

START = "from tools.cluster import cluster, places; cluster.up(places.home(), ends_with_caller=True)"


@pytest.fixture
def second_home(tmp_path: Path) -> Iterator[Home]:
    """A home beside that of the other tests' cluster."""
    clusters.prepare()
    yield (place := Home(tmp_path / "cluster"))
    clusters.down(place)


def test_what_is_killed_while_it_starts_can_be_started_again_and_leaves_nothing(second_home: Home) -> None:
    before = _interfaces_and_rules()
    environment = {**os.environ, "SLUICE_CLUSTER_HOME": str(second_home.path)}
    starting = subprocess.Popen([sys.executable, "-c", START], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert starting.stdout is not None
    with starting.stdout as said:
        while not said.readline().startswith(b"kubelet is ready"):
            assert starting.poll() is None
        starting.kill()
    starting.wait()
    _until(lambda: not _processes(second_home))

    again = clusters.up(second_home)
    assert _processes(second_home)
    assert again.kubectl.get("nodes")[0]["metadata"]["name"] == "node-1"

    clusters.down(second_home)
    assert not _processes(second_home)
    assert clusters.running(second_home) is None
    assert str(second_home.path) not in Path("/proc/mounts").read_text()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{second_home.cgroup}"))
    assert _interfaces_and_rules() == before
    assert [each.name for each in second_home.path.iterdir()] == ["logs"]


def _processes(home: Home) -> list[str]:
    """Command lines that name the home's folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(each.read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in found if str(home.path) in line]


def _interfaces_and_rules() -> list[str]:
    """The machine's network interfaces and the firewall chains that a cluster would make."""
    interfaces = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    names = [line.split(": ")[1] for line in interfaces.splitlines()]
    return names + [line.split()[0] for line in rules.splitlines() if line.startswith((":KUBE", ":CNI"))]


def _until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)
