"""Debian's Prometheus and Alertmanager, and their tools."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from servers.process import Server, free_port, without

_PACKAGES = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
_PACKAGES |= {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


def tool(name: str, *arguments: str) -> str:
    """What promtool or amtool prints; it has to be content."""
    done = subprocess.run([_program(name), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def prometheus(folder: Path, configuration: Mapping[str, Any], port: int) -> Server:
    """A Prometheus with this configuration; not started."""
    options = {"storage.tsdb.path": folder / "data", "web.listen-address": f"127.0.0.1:{port}"}
    return _server("prometheus", folder, configuration, options, port)


def alertmanager(folder: Path, configuration: Mapping[str, Any]) -> Server:
    """An Alertmanager with this configuration, without a cluster; not started."""
    port = free_port()
    options = {"storage.path": folder / "data", "web.listen-address": f"127.0.0.1:{port}", "cluster.listen-address": ""}
    return _server("prometheus-alertmanager", folder, configuration, options, port)


def _server(
    name: str, folder: Path, configuration: Mapping[str, Any], options: Mapping[str, object], port: int
) -> Server:
    folder.mkdir(parents=True)
    path = folder / "configuration.yaml"
    path.write_text(yaml.safe_dump(dict(configuration), sort_keys=False))
    given = [f"--{option}={value}" for option, value in {"config.file": path, **options}.items()]
    return Server([_program(name), *given], f"127.0.0.1:{port}")


def _program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        without(name, f"install the package {_PACKAGES[name]}")
    return program
