"""What is stored of a verdict, and what is said of it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from sluice.errors import GateError
from sluice.gate import Check, Verdict

PASSED = Check("size", True, "10 bytes (allowed 20)", {"bytes": 10}, 20)
REFUSED = Check("ladder", False, "not shown to be better", {"p_value": float("nan")}, 0.05)


def verdict(*checks: Check) -> Verdict:
    return Verdict(checks, True, "average_precision", 0.05, 0.01, {"rows": 3}, {"gate": 1}, {"seal": "ab"})


def test_the_document_is_json_and_comes_back() -> None:
    document = json.loads(json.dumps(verdict(PASSED, REFUSED).document(), allow_nan=False))
    back = Verdict.from_document(document)
    assert not back.passed
    assert back.checks[0] == PASSED
    assert back.checks[1].figures == {"p_value": None}
    assert back.document() == document


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(GateError, match="format 99"):
        Verdict.from_document({**verdict(PASSED).document(), "format": 99})


def test_a_verdict_without_checks_is_no_promotion() -> None:
    assert not verdict().passed


def test_the_reason_is_the_first_refusal_and_counts_the_others() -> None:
    assert verdict(PASSED).reason() == "passed all 1 checks"
    assert verdict(PASSED, REFUSED, REFUSED).reason() == "not shown to be better (and 1 more: ladder)"


def test_the_table_has_a_line_a_check() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(verdict(PASSED, REFUSED).table())
    text = console.export_text()
    assert "10 bytes" in text and "refused" in text
