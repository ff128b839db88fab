"""`make audit`: known weaknesses of what the images hold, against the file of accepted ones."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from tools.images.acceptance import problems, read_accepted
from tools.images.advisories import Answer, asked, pins, reported, stored
from tools.images.errors import ImageError
from tools.images.inputs import LOCKS
from tools.images.places import ROOT


def audit(today: date, *, report: Path | None = None, database: Path | None = None) -> None:
    """Ask `report`, `database` or pip-audit's service, and say what is open.

    Raises:
        ImageError: nobody could be asked, something is open, or an acceptance is over or not needed.
    """
    locks = [ROOT / f"requirements/{name}.txt" for name in LOCKS.values()]
    accepted = read_accepted()
    answer = _answer(locks, report, database)
    if answer is None:
        raise ImageError(
            "!! NOTHING WAS AUDITED: the advisory service cannot be reached from here",
            "give ADVISORIES=a clone of github.com/pypa/advisory-database",
        )
    if answer.unknown:
        print(f"!! NOT AUDITED, unknown to the service: {', '.join(answer.unknown)}", file=sys.stderr)
    open_ones = problems(answer.findings, accepted, today)
    if open_ones:
        raise ImageError(
            "\n".join(open_ones), "raise the version, or accept it with a reason in tools/images/accepted.yaml"
        )
    held = f"{len(answer.findings)} findings, all of them accepted" if answer.findings else "no findings"
    print(f"{len(pins(locks))} packages, {held}; source: {answer.source}")


def _answer(locks: list[Path], report: Path | None, database: Path | None) -> Answer | None:
    if report is not None:
        return reported(json.loads(report.read_text()), str(report))
    return stored(database, locks) if database is not None else asked(locks)
