"""The servers' settings files, from the templates beside."""

from __future__ import annotations

import shutil
import string
import subprocess
from pathlib import Path

from tools.cluster.places import CONTAINERD_SOCKET, MANIFESTS, NODE_ADDRESS, POD_RANGE, TEMPLATES, Home

PLACED = {"bridge.conflist": "cni/10-bridge.conflist"}
"""Templates whose file lies elsewhere than at the top of the settings folder."""


def write_settings(home: Home) -> None:
    """Fill in every template."""
    values = {
        "data": str(home.data),
        "keys": str(home.keys),
        "settings": str(home.settings),
        "cgroup": home.cgroup,
        "socket": CONTAINERD_SOCKET,
        "node_address": NODE_ADDRESS,
        "pod_range": POD_RANGE,
        "snapshotter": _snapshotter(home.path),
    }
    for template in TEMPLATES.iterdir():
        target = home.settings / PLACED.get(template.name, template.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(string.Template(template.read_text()).substitute(values))
    stages = MANIFESTS / "kwok-stages.yaml"
    if stages.exists():
        shutil.copy(stages, home.settings / "kwok.yaml")


def _snapshotter(folder: Path) -> str:
    """An overlay cannot lie on another one (a checkout inside a container): copy there."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
    return "native" if kind.stdout.strip() == "overlayfs" else "overlayfs"
