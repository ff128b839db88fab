"""This machine: Python, the locked packages, room on the disk."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sluice_cli.doctor.finding import Findings

PACKAGES = ("kfp", "kfp-kubernetes", "kserve", "feast", "torch", "onnxruntime", "obstore", "polars", "kubernetes")
"""Those whose version matters to others: to Kubeflow, to the cluster, to what was stored."""
LOCK = Path("requirements/core.txt")
ROOM = 10 * 2**30
"""Bytes that a first run of the demo and its environment leave room with."""


def look_at_machine(findings: Findings, work: Path) -> None:
    """Python, packages, disk."""
    _python(findings)
    _packages(findings, LOCK)
    _disk(findings, work)


def _python(findings: Findings) -> None:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        findings.ok("Python", found)
    else:
        findings.miss("Python", found, "Sluice's packages are locked for 3.11: install it, then `make setup`")


def _packages(findings: Findings, lock: Path) -> None:
    locked = _locked(lock)
    if not locked:
        findings.warn("packages", f"no {lock} here to compare with", "run it in a checkout of Sluice")
    for name in PACKAGES:
        found, wanted = _installed(name), locked.get(name)
        if found is None:
            findings.miss(f"package {name}", "not installed", "pip install 'sluice[core]', or `make setup`")
        elif wanted is not None and found.split("+")[0] != wanted:
            findings.warn(f"package {name}", f"{found}, locked is {wanted}", "`make setup` installs what is locked")
        else:
            findings.ok(f"package {name}", found)


def _locked(lock: Path) -> dict[str, str]:
    if not lock.is_file():
        return {}
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _disk(findings: Findings, work: Path) -> None:
    there = next(folder for folder in (work.absolute(), *work.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    what, found = f"disk at {there}", f"{free / 2**30:.1f} GiB free"
    if free < ROOM:
        findings.warn(what, found, f"a run on half a year of transactions wants {ROOM // 2**30} GiB: --work elsewhere")
    else:
        findings.ok(what, found)
