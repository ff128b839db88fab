"""The audit's rule, with reports that say what is wanted; and a copy of an advisory database."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tools.images.acceptance import Finding, problems, read_accepted
from tools.images.advisories import is_affected, pins, reported, stored
from tools.images.audit import audit
from tools.images.errors import ImageError

TODAY = date(2026, 11, 23)
FINDING = Finding("jinja2", "3.1.6", "PYSEC-2026-1", frozenset({"CVE-2026-1"}), ("3.2",))
REPORT = {
    "dependencies": [
        {"name": "numpy", "version": "2.4.6", "vulns": []},
        {
            "name": "Jinja2",
            "version": "3.1.6",
            "vulns": [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["3.2"], "description": "…"}],
        },
    ],
    "fixes": [],
}
ADVISORY = """
id: PYSEC-2026-1
modified: "2026-11-01T00:00:00Z"
aliases: [CVE-2026-1]
affected:
- package: {name: Jinja2, ecosystem: PyPI}
  ranges:
  - {type: ECOSYSTEM, events: [{introduced: "0"}, {fixed: "3.2"}]}
"""


def accept(folder: Path, *entries: dict[str, Any]) -> Path:
    """A file of accepted findings."""
    path = folder / "accepted.yaml"
    path.write_text(json.dumps([{"package": "jinja2", "reason": "no foreign templates", **each} for each in entries]))
    # JSON has no days; YAML reads a bare one.
    path.write_text(path.read_text().replace('"until": "', '"until": ').replace('-31"', "-31"))
    return path


def judged(path: Path, findings: list[Finding]) -> list[str]:
    """What the audit would say today."""
    return problems(findings, read_accepted(path), TODAY)


def test_a_finding_that_nobody_accepted_is_open(tmp_path: Path) -> None:
    (said,) = judged(accept(tmp_path), [FINDING])
    assert said == "open: jinja2 3.1.6: PYSEC-2026-1 (CVE-2026-1), fixed in 3.2"


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
def test_an_accepted_finding_passes_under_any_of_its_names(tmp_path: Path, name: str) -> None:
    assert judged(accept(tmp_path, {"id": name, "until": "2027-01-31"}), [FINDING]) == []


def test_an_acceptance_ends_on_its_day(tmp_path: Path) -> None:
    path = accept(tmp_path, {"id": "PYSEC-2026-1", "until": "2026-10-31"})
    (said,) = judged(path, [FINDING])
    assert said.startswith("accepted only until 2026-10-31: jinja2")


def test_an_acceptance_that_nothing_calls_for_is_refused(tmp_path: Path) -> None:
    path = accept(tmp_path, {"id": "PYSEC-2026-1", "until": "2027-01-31"})
    (said,) = judged(path, [])
    assert said.startswith("accepted without need: PYSEC-2026-1 of jinja2")


def test_an_acceptance_of_another_package_does_not_count(tmp_path: Path) -> None:
    path = accept(tmp_path, {"id": "PYSEC-2026-1", "package": "numpy", "until": "2027-01-31"})
    assert len(judged(path, [FINDING])) == 2


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"id": "A"}, "must have id, package, reason, until"),
        ({"id": "A", "until": "soon"}, "until must be a day"),
        ({"id": "A", "until": "2027-01-31", "reason": " "}, "the reason is missing"),
    ],
)
def test_an_entry_that_answers_for_nothing_is_refused(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ImageError, match=said):
        read_accepted(accept(tmp_path, entry))


def test_the_file_of_the_project_can_be_read() -> None:
    assert all(each.reason for each in read_accepted())


def test_a_report_of_pip_audit_is_read() -> None:
    answer = reported(REPORT, "a test")
    assert (answer.findings, answer.unknown) == ([FINDING], [])


def test_an_audit_with_an_open_finding_fails_and_with_an_accepted_one_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps(REPORT))
    with pytest.raises(ImageError, match=r"open: jinja2.*\n→ raise the version"):
        audit(TODAY, report=report)
    accepted = accept(tmp_path, {"id": "CVE-2026-1", "until": "2027-01-31"})
    monkeypatch.setattr(read_accepted, "__defaults__", (accepted,))
    audit(TODAY, report=report)
    assert "1 findings, all of them accepted" in capsys.readouterr().out


def test_a_copy_of_the_database_finds_what_the_locks_hold(tmp_path: Path) -> None:
    lock = tmp_path / "core.txt"
    lock.write_text("jinja2==3.1.6 \\\n    --hash=sha256:00\nwincertstore==0.2 ; sys_platform == 'win32' \\\n")
    folder = tmp_path / "vulns/jinja2"
    folder.mkdir(parents=True)
    (folder / "PYSEC-2026-1.yaml").write_text(ADVISORY)
    withdrawn = ADVISORY.replace("PYSEC-2026-1", "PYSEC-2026-2") + "withdrawn: 2026-11-02\n"
    (folder / "PYSEC-2026-2.yaml").write_text(withdrawn)

    answer = stored(tmp_path, [lock])

    assert (answer.findings, pins([lock])) == ([FINDING], {"jinja2": "3.1.6"})
    assert answer.source.endswith("last changed 2026-11-01")


def test_without_a_database_the_audit_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="git clone"):
        stored(tmp_path, [])


def test_nothing_asked_is_not_nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What pip-audit prints, with status 0, where packages come from a mirror without the advisory service.
    skipped = json.dumps({"dependencies": [{"name": "numpy", "skip_reason": "not found on PyPI"}], "fixes": []})
    (tmp_path / "pip_audit.py").write_text(f"print('''{skipped}''')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ImageError, match="NOTHING WAS AUDITED"):
        audit(TODAY)


@pytest.mark.parametrize(
    ("version", "events", "expected"),
    [
        ("1.0", [{"introduced": "0"}, {"fixed": "1.0"}], False),
        ("0.9", [{"introduced": "0"}, {"fixed": "1.0"}], True),
        ("2.0rc1", [{"introduced": "1.5"}, {"fixed": "2.0"}], True),
        ("1.2", [{"introduced": "0"}, {"last_affected": "1.2"}], True),
        ("1.3", [{"introduced": "0"}, {"last_affected": "1.2"}], False),
        ("3.1", [{"introduced": "0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"fixed": "3.2"}], True),
        ("2.5", [{"introduced": "0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"fixed": "3.2"}], False),
        ("9.9", [{"introduced": "0"}], True),
    ],
)
def test_ranges_are_read_as_osv_defines_them(version: str, events: list[dict[str, str]], expected: bool) -> None:
    affected = {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}, {"type": "ECOSYSTEM", "events": events}]}
    assert is_affected(version, affected) is expected
    assert is_affected(version, {"versions": [version]}) is True
