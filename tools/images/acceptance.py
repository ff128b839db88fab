"""Findings against what was accepted: the rule by which an audit passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from tools.images.errors import ImageError

FILE = Path(__file__).parent / "accepted.yaml"
_KEYS = {"id", "package", "reason", "until"}


@dataclass(frozen=True)
class Finding:
    """A known weakness of a package that we hold."""

    package: str
    version: str
    id: str
    aliases: frozenset[str] = field(default_factory=frozenset)
    fixed_in: tuple[str, ...] = ()

    def __str__(self) -> str:
        also = f" ({', '.join(sorted(self.aliases))})" if self.aliases else ""
        fix = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fix is known"
        return f"{self.package} {self.version}: {self.id}{also}, {fix}"


@dataclass(frozen=True)
class Acceptance:
    """A finding that somebody answers for until a day."""

    id: str
    package: str
    reason: str
    until: date

    def covers(self, finding: Finding) -> bool:
        """Whether it speaks of this finding, under any of its names."""
        return self.package == finding.package and self.id in {finding.id, *finding.aliases}


def read_accepted(path: Path = FILE) -> list[Acceptance]:
    """The file's entries.

    Raises:
        ImageError: an entry lacks something, or says more than it may.
    """
    entries = yaml.safe_load(path.read_text()) or []
    return [_entry(path, number, each) for number, each in enumerate(entries, 1)]


def _entry(path: Path, number: int, given: Any) -> Acceptance:
    wrong = f"{path.name}, entry {number}"
    if not isinstance(given, dict) or set(given) != _KEYS:
        raise ImageError(f"{wrong}: it must have {', '.join(sorted(_KEYS))}")
    if not isinstance(given["until"], date):
        raise ImageError(f"{wrong}: until must be a day, as 2027-01-31")
    if not str(given["reason"] or "").strip():
        raise ImageError(f"{wrong}: the reason is missing")
    return Acceptance(str(given["id"]), str(given["package"]), str(given["reason"]), given["until"])


def problems(findings: Sequence[Finding], accepted: Sequence[Acceptance], today: date) -> list[str]:
    """What keeps the audit from passing: open findings, and acceptances that are over or called for by nothing."""
    told = []
    for finding in findings:
        known = [each for each in accepted if each.covers(finding)]
        if not known:
            told.append(f"open: {finding}")
        elif all(each.until < today for each in known):
            told.append(f"accepted only until {max(each.until for each in known)}: {finding}")
    for each in accepted:
        if not any(each.covers(finding) for finding in findings):
            told.append(f"accepted without need: {each.id} of {each.package}; take it out of {FILE.name}")
    return told
