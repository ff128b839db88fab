"""From the step that would not fit the card to the person in front of the terminal, and back."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from sluice.errors import MemoryPlanError, PipelineError
from sluice.settings import UseCase, read_use_case
from sluice.steps import step
from sluice_cli.scaling import run_or_ask
from sluice_components.candidates import candidates
from sluice_pipelines.local import _follow
from sluice_pipelines.training import settings_json

ROOT = Path(__file__).parents[2]
USE_CASE = read_use_case(ROOT / "use_cases" / "fraud.yaml")
FAILURE = PipelineError("step train network: it would take 12 GB", "set it", ["accumulate", "narrow"])


def fits_when_narrow(use_case: UseCase, again: bool) -> tuple[str, bool]:
    """A run that stops until the network is narrower."""
    way = use_case.training.memory.over_budget
    if way != "narrow":
        raise FAILURE
    return way, again


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_until_the_answer_is_a_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("2\naccumulate\nnarrow\n"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run_or_ask(USE_CASE, fits_when_narrow) == ("narrow", True)
    told = capsys.readouterr().out
    assert "it would take 12 GB" in told and "over_budget: narrow" in told


def test_without_a_terminal_or_a_way_the_run_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="12 GB"):
        run_or_ask(USE_CASE, fits_when_narrow)

    def fails(_use_case: UseCase, _again: bool) -> None:
        raise PipelineError("step ingest: no such file")

    monkeypatch.setattr(sys, "stdin", Terminal("narrow\n"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(PipelineError, match="no such file"):
        run_or_ask(USE_CASE, fails)


def test_the_ways_come_through_the_steps_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), step("train network"):
        raise MemoryPlanError("too large", "set it", ["host"])
    lines = tmp_path / "lines"
    lines.write_text(capsys.readouterr().out)
    with pytest.raises(PipelineError, match="step train network: too large") as caught:
        _follow(["cat", str(lines)], tmp_path, lambda _fields: None)
    assert caught.value.ways == ("host",)


def test_an_answer_trains_only_networks_anew() -> None:
    document = settings_json(USE_CASE)
    items = candidates.python_func(settings=document, code="")
    changed = candidates.python_func(
        settings=document.replace('"over_budget": "ask"', '"over_budget": "host"'), code=""
    )
    pairs = zip(items, changed, strict=True)
    assert [item["id"] for item, other in pairs if item != other] == ["network"]
