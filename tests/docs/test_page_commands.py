"""The commands of the pages that people follow: each is there, with its options, files and settings.

That they work is shown where they are run: `tests/cluster/test_pages.py` and the tests that the pages name.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sluice.settings import read_use_case
from sluice_cli.main import app

ROOT = Path(__file__).parents[2]
FOLLOWED = ["from-nothing", "beside-kubeflow", "operations", "gateway-auth", "manifests", "gpu-pool"]


def text(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text()


def blocks(page: str) -> list[str]:
    """Indented blocks, continued lines joined, those in code spans too."""
    lines = [*re.findall(r"^    (.*)$", text(page).replace("\\\n", " "), re.MULTILINE)]
    return [*lines, *re.findall(r"`([^`\n]+)`", text(page))]


def commands(page: str, program: str) -> list[list[str]]:
    """What follows a program's name, as the shell would split it."""
    found = []
    for line in blocks(page):
        match = re.match(rf"(?:\.venv/bin/)?{program} (.+)", line.strip())
        if match:
            said = match[1].split(" | ")[0].removesuffix(" &").split(" >")[0]
            found.append(shlex.split(said.replace("<<< ", "")))
    return found


@pytest.mark.parametrize("page", FOLLOWED)
def test_every_option_of_a_sluice_command_is_there(page: str) -> None:
    for words in commands(page, "sluice"):
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words:
            assert words[0] in command.commands, f"sluice {words[0]}"
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known, f"sluice {command.name}: {given - known}"


@pytest.mark.parametrize("page", FOLLOWED)
def test_every_file_and_folder_that_a_command_names_is_there(page: str) -> None:
    for program in ("kubectl", "sluice", "make"):
        for words in commands(page, program):
            for word in words:
                path = word.rsplit("=", 1)[-1]
                if re.match(r"(manifests|use_cases|tests|docs)/[\w./-]+$", path):
                    assert (ROOT / path).exists(), f"{program} {' '.join(words)}"
    for script in re.findall(r"^    (manifests/\S+)", text(page), re.MULTILINE):
        assert (ROOT / script).stat().st_mode & 0o100, script


@pytest.mark.parametrize("page", FOLLOWED)
def test_every_manifest_component_that_is_named_is_there(page: str) -> None:
    for path in re.findall(r"`(manifests/[\w./-]+)`", text(page)):
        assert (ROOT / path).exists(), path
    for component in re.findall(r"\.\./\.\./components/([\w-]+)", text(page)):
        assert (ROOT / "manifests" / "components" / component / "kustomization.yaml").exists(), component


def settings_in(page: str) -> list[str]:
    """Blocks that a page says to lay over the use case."""
    joined = re.findall(r"(?:^    .*\n?)+", text(page), re.MULTILINE)
    unindented = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in joined]
    written = [match for block in unindented for match in re.findall(r"<<EOF\n(.*?)EOF\n", block, re.DOTALL)]
    return [*written, *(block for block in unindented if re.match(r"(storage|features|pipeline):", block))]


@pytest.mark.parametrize("page", ["from-nothing", "beside-kubeflow", "manifests"])
def test_settings_that_a_page_writes_are_settings(page: str, tmp_path: Path) -> None:
    found = settings_in(page)
    assert found
    for number, block in enumerate(found):
        overlay = tmp_path / f"{number}.yaml"
        overlay.write_text(block)
        use_case = read_use_case(ROOT / "use_cases" / "fraud.yaml", {}, [overlay])
        assert set(yaml.safe_load(block)) <= set(type(use_case).model_fields)
