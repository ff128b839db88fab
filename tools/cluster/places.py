"""Where everything lies, and the addresses inside the cluster's own network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ROOT / "tools/servers/bin"
MANIFESTS = PROGRAMS / "manifests"
TEMPLATES = Path(__file__).parent / "templates"

# Ranges that are kept for benchmarks and documentation: a packet that got out by mistake would reach nobody.
# They exist only inside the cluster's network namespace; from outside use `tools.cluster.relay`.
NODE = "node-1"
NODE_ADDRESS = "198.18.0.1"
POD_RANGE = "198.51.100.0/24"
SERVICE_RANGE = "203.0.113.0/24"
API_SERVICE = "203.0.113.1"
API = f"https://{NODE_ADDRESS}:6443"

# In the cluster's own /run, because the path of a socket may have no more than 107 characters.
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
DATA_INSIDE = "/run/cluster"
"""The home's data folder, as it is also called inside."""


@dataclass(frozen=True)
class Home:
    """The cluster's folder. All of it but the logs goes with `down`."""

    path: Path

    @property
    def keys(self) -> Path:
        """Certificates, private keys and the kubeconfig files made of them."""
        return self.path / "keys"

    @property
    def settings(self) -> Path:
        """The servers' settings files, filled in."""
        return self.path / "settings"

    @property
    def data(self) -> Path:
        """What the servers store."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """A file a server; of the last run."""
        return self.path / "logs"

    @property
    def state(self) -> Path:
        """Which process holds the cluster."""
        return self.path / "state.json"

    @property
    def cgroup(self) -> str:
        """The name of the control group that holds every pod, unlike that of any other home or kubelet."""
        return f"sluice-{self.path.stat().st_ino:x}"

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig of one of the users of `tools.cluster.keys`."""
        return self.keys / f"{user}.kubeconfig"


def home() -> Home:
    """`$SLUICE_CLUSTER_HOME`, or `.sluice/cluster` in the checkout."""
    return Home(Path(os.environ.get("SLUICE_CLUSTER_HOME") or ROOT / ".sluice/cluster").absolute())
