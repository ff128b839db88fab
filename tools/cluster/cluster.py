"""Starting and ending the cluster."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import namespace, packages
from tools.cluster.errors import ClusterError
from tools.cluster.images import import_command
from tools.cluster.keys import write_keys
from tools.cluster.kubectl import Kubectl
from tools.cluster.namespace import Namespace
from tools.cluster.places import ROOT, Home
from tools.cluster.settings import write_settings

MODULES = [
    "pause",
    "echo",
    "crds",
    "envoy",
    "envoy-gateway",
    "kubernetes",
    "coredns",
    "kwok",
    "metrics-server",
    "kserve",
    "trainer",
    "minio",
]
"""What is built for the cluster and for what the tests put into it, out of `tools/servers`."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs."""

    home: Home
    namespace: Namespace

    @property
    def kubectl(self) -> Kubectl:
        """kubectl with every right; files are read outside, the API server is reached inside."""
        return Kubectl(self.home.kubeconfig(), lambda command: self.namespace.command(command, network_only=True))

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program inside, with its processes, mounts and network."""
        inside = self.namespace.command(command)
        return subprocess.run(inside, capture_output=True, text=True, check=False, env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """What a program inside needs to find the cluster."""
        path = f"{ROOT / 'tools/servers/bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
        return {
            **os.environ,
            "PATH": path,
            "KUBECONFIG": str(self.home.kubeconfig()),
            "SLUICE_CLUSTER_HOME": str(self.home.path),
        }

    def import_image(self, archive: Path) -> None:
        """Make the images of an archive usable in pods, under their full names."""
        done = self.run(import_command(archive.absolute()))
        if done.returncode != 0:
            raise ClusterError(
                f"{archive} cannot be imported: {done.stderr.strip()}", "is it an OCI or docker archive?"
            )


def prepare() -> None:
    """Everything that has to be on the machine: rights, packages, programs."""
    if os.geteuid() != 0:
        raise ClusterError(
            "THE TEST CLUSTER NEEDS ROOT: it makes network, mount and process namespaces of its own",
            "run it as root, in a virtual machine where you do not want that here",
        )
    packages.require()
    built = subprocess.run([ROOT / "tools/servers/build", *MODULES], check=False)
    if built.returncode != 0:
        raise ClusterError("a server of the test cluster could not be built", "see above")


def running(home: Home) -> Cluster | None:
    """This home's cluster, if it runs."""
    found = namespace.find(home)
    return Cluster(home, found) if found else None


@contextmanager
def held(home: Home, *, wait: bool) -> Iterator[None]:
    """Nobody else starts, uses for tests, or ends this home's cluster meanwhile."""
    home.path.parent.mkdir(parents=True, exist_ok=True)
    with home.path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ClusterError(
                f"tests use the cluster in {home.path}", "wait for them, or set SLUICE_CLUSTER_HOME to another folder"
            ) from None
        yield


def up(home: Home, *, ends_with_caller: bool = False) -> Cluster:
    """Start it from nothing. What an interrupted start or run left behind is ended and removed first."""
    down(home)
    shutil.rmtree(home.logs, ignore_errors=True)
    home.data.mkdir(parents=True)
    write_keys(home)
    write_settings(home)
    _make_cgroup(home)
    cluster = Cluster(home, namespace.create(home, ends_with_caller=ends_with_caller))
    command = cluster.namespace.command([sys.executable, "-m", "tools.cluster.inside"])
    started = subprocess.run(command, cwd=ROOT, env=cluster.environment, check=False)
    if started.returncode != 0:
        namespace.destroy(home)
        raise ClusterError("the cluster did not start", f"its servers' logs lie in {home.logs}")
    return cluster


def down(home: Home) -> None:
    """End every process of the cluster and remove all that it made, except the logs until the next start."""
    namespace.destroy(home)
    for folder in (home.data, home.keys, home.settings):
        shutil.rmtree(folder, ignore_errors=True)
    if home.path.is_dir():
        for top in _cgroup_tops():
            _remove_cgroup(top / home.cgroup)


def _cgroup_tops() -> list[Path]:
    """The roots of the hierarchies: one in version 2, one a controller in version 1."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted({each.resolve() for each in root.iterdir() if (each / "cgroup.procs").exists()})


def _make_cgroup(home: Home) -> None:
    for top in _cgroup_tops():
        _offer_controllers(top)
        (top / home.cgroup).mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        whole = Path("/sys/fs/cgroup/cpuset", name)
        if whole.exists():
            (whole.parent / home.cgroup / name).write_text(whole.read_text())


def _offer_controllers(top: Path) -> None:
    """In version 2 a group has those controllers that the one above passes on; kubelet wants them in its own."""
    offered = top / "cgroup.controllers"
    for name in offered.read_text().split() if offered.exists() else []:
        with suppress(OSError):  # the kernel keeps some back, and the kubelet says which it misses
            (top / "cgroup.subtree_control").write_text(f"+{name}")


def _remove_cgroup(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        Path(folder).rmdir()
