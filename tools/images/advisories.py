"""Where findings come from: pip-audit's service, its report in a file, or a copy of an advisory database."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tools.images.acceptance import Finding
from tools.images.errors import ImageError

_PINNED = re.compile(r"^[A-Za-z0-9._-]+==[^\\]+", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a source says: findings, the packages that it could not look up, and how old it is."""

    findings: list[Finding]
    unknown: list[str]
    source: str


def pins(locks: Iterable[Path]) -> dict[str, str]:
    """Package and version of every line of the locks that counts on this platform."""
    lines = [Requirement(line) for path in locks for line in _PINNED.findall(path.read_text())]
    wanted = [each for each in lines if each.marker is None or each.marker.evaluate()]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in wanted}


def asked(locks: Sequence[Path], seconds: float = 600) -> Answer | None:
    """What pip-audit's service says; None where it cannot be reached."""
    answers = []
    for lock in locks:
        words = [
            "--requirement",
            str(lock),
            "--require-hashes",
            "--disable-pip",
            "--format=json",
            "--progress-spinner=off",
        ]
        command = [sys.executable, "-m", "pip_audit", *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
            report = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return None
        # A mirror of packages without the service answers "not found" for each, and pip-audit calls that clean.
        if all("skip_reason" in package for package in report["dependencies"]):
            return None
        answers.append(reported(report, "the service of pip-audit"))
    findings = [finding for answer in answers for finding in answer.findings]
    unknown = {name for answer in answers for name in answer.unknown}
    return Answer(_once(findings), sorted(unknown), answers[0].source)


def reported(report: Mapping[str, Any], source: str) -> Answer:
    """What a report of `pip-audit --format=json` says."""
    findings: list[Finding] = []
    unknown: list[str] = []
    for package in report["dependencies"]:
        name = canonicalize_name(package["name"])
        if "skip_reason" in package:
            unknown.append(name)
        for each in package.get("vulns", []):
            fixed, aliases = tuple(each.get("fix_versions", ())), frozenset(each.get("aliases", ()))
            findings.append(Finding(name, package["version"], each["id"], aliases, fixed))
    return Answer(_once(findings), unknown, source)


def stored(database: Path, locks: Sequence[Path]) -> Answer:
    """What a copy of github.com/pypa/advisory-database says.

    Raises:
        ImageError: there is no such database.
    """
    if not (database / "vulns").is_dir():
        raise ImageError(f"{database}: there is no folder vulns", "git clone https://github.com/pypa/advisory-database")
    findings: list[Finding] = []
    newest = ""
    wanted = pins(locks)
    for path in sorted(database.glob("vulns/*/*.yaml")):
        advisory = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        newest = max(newest, str(advisory.get("modified", "")))
        if not advisory.get("withdrawn"):
            findings += _matches(advisory, wanted)
    return Answer(_once(findings), [], f"{database}, last changed {newest[:10]}")


def _matches(advisory: Mapping[str, Any], wanted: Mapping[str, str]) -> Iterator[Finding]:
    for affected in advisory.get("affected", []):
        name = canonicalize_name(affected["package"]["name"])
        version = wanted.get(name)
        if version is not None and is_affected(version, affected):
            fixes = [event["fixed"] for events in _ranges(affected) for event in events if "fixed" in event]
            yield Finding(name, version, advisory["id"], frozenset(advisory.get("aliases", ())), tuple(fixes))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether a version lies in the ranges or the list of an advisory in the form of osv.dev."""
    if version in affected.get("versions", ()):
        return True
    return any(_in_range(Version(version), events) for events in _ranges(affected))


def _ranges(affected: Mapping[str, Any]) -> Iterator[list[dict[str, str]]]:
    yield from (each["events"] for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM")


def _in_range(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    inside = False
    for event in events:
        ((kind, bound),) = event.items()
        try:
            limit = Version(bound)
        except InvalidVersion:
            continue
        if kind == "introduced" and version >= limit:
            inside = True
        elif (kind == "fixed" and version >= limit) or (kind == "last_affected" and version > limit):
            inside = False
    return inside


def _once(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(set(findings), key=lambda each: (each.package, each.id))
