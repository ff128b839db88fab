"""What the documentation says is there, and what is there is in the documentation."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

from sluice.settings import read_use_case
from sluice_cli.main import app
from sluice_cli.settings_page import page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == page(), "run: .venv/bin/python -m sluice_cli.settings_page"


def test_every_setting_has_a_meaning() -> None:
    nameless = [line for line in page().splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert nameless == []


@cache
def verbs() -> frozenset[str]:
    command = typer.main.get_command(app)
    assert hasattr(command, "commands")
    return frozenset(command.commands)


def test_every_verb_is_in_the_readme_or_a_guide() -> None:
    text = "\n".join(path.read_text() for path in PAGES)
    assert {verb for verb in verbs() if not re.search(rf"`(sluice )?{verb}\b|sluice {verb}\b", text)} == set()


SOURCES = [path for room in ("sluice", "cli", "pipelines", "serving") for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_is_named_is_there(path: Path) -> None:
    told = set(re.findall(r"(?:`|bin/|^    )sluice ([a-z]+(?:-[a-z]+)*)\b", path.read_text(), re.MULTILINE))
    assert told - verbs() == set()


def test_every_make_verb_in_the_documentation_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    told = {verb for path in PAGES for verb in re.findall(r"(?:`|    )make ([a-z-]+)", path.read_text())}
    assert {verb for verb in told if not re.search(rf"^{verb}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "use_cases").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_use_case_file_can_be_read(path: Path) -> None:
    assert read_use_case(path).name == yaml.safe_load(path.read_text())["name"]
