"""Images of the servers that users run from a registry: the same programs, from their Go module or from Debian.

They carry the names that the manifests ask for, so nothing is patched for the tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from tools.cluster.images import write_files_image
from tools.cluster.places import PROGRAMS

MANIFESTS = Path(__file__).parents[2] / "manifests"
LIBRARY = re.compile(r"(/\S+) \(0x")


def minio(folder: Path) -> Path:
    """The MinIO that the tests use everywhere."""
    files = {"usr/bin/minio": (PROGRAMS / "minio").read_bytes()}
    return write_files_image(folder / "minio.tar", _name("minio"), files)


def redis(folder: Path) -> Path:
    """Debian's redis-server and redis-cli, with the shell that its command is written for."""
    programs = ("redis-server", "redis-cli", "sh", "cat", "test", "grep")
    return write_files_image(folder / "redis.tar", _name("redis"), _with_libraries(*programs))


def _name(component: str) -> str:
    statefulset = yaml.safe_load((MANIFESTS / "components" / component / "statefulset.yaml").read_text())
    return str(statefulset["spec"]["template"]["spec"]["containers"][0]["image"])


def _with_libraries(*programs: str) -> dict[str, bytes]:
    files = {}
    for program in programs:
        path = shutil.which(program)
        assert path is not None, f"{program} is not installed"
        files[f"usr/bin/{program}"] = Path(path).read_bytes()
        linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in LIBRARY.findall(linked):
            files[library.lstrip("/")] = Path(library).read_bytes()
    return files
