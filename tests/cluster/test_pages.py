"""docs/from-nothing.md followed to the letter: its own lines, in one shell, where a person would type them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from stack import ROOT, Stack

PAGE = ROOT / "docs" / "from-nothing.md"
ELSEWHERE = {
    ".venv/bin/sluice simulate": "the stack has a smaller world in its store already",
    "aws ": "any S3 client does; the stack's own did",
    "kubectl -n sluice wait": "waited for before, with the patience of a busy machine",
}
"""Lines of the sections below that are not run, and why."""


def section(title: str) -> str:
    """The shell of a section: its indented lines but those that are run elsewhere."""
    body = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line[4:] for line in body.splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if not line.startswith(tuple(ELSEWHERE)))


def follow(stack: Stack, folder: Path, script: str) -> str:
    """What the lines print, run inside the cluster's network in a folder like a fresh checkout."""
    for name in ("use_cases", "feature_repo", "manifests", ".venv"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    # A port-forward is ready a moment after its command has begun; a person types slower than that.
    patient = re.sub(r"^(kubectl .* port-forward \S+ (\d+):.*) &$", _forwarded, script, flags=re.MULTILINE)
    ending = "trap 'kill $(jobs -p)' EXIT\nset -eu\nexport COLUMNS=200\n"
    (folder / "followed.sh").write_text(f"{ending}cd {folder}\n{patient}\n")
    done = stack.cluster.run(["bash", str(folder / "followed.sh")])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _forwarded(match: re.Match[str]) -> str:
    port = match[2]
    waited = f"timeout 30 bash -c 'until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep .2; done'"
    return f"{match[1]} >/dev/null &\n{waited}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "checkout"
    place.mkdir()
    return place


def test_a_laptop_sees_into_the_clusters_store(stack: Stack, folder: Path) -> None:
    said = follow(stack, folder, section("4. The data"))
    assert "store: put-if-absent" in said and "Redis" in said
    assert (folder / ".sluice/cluster-keys").stat().st_mode & 0o077 == 0
    assert (folder / ".sluice/cluster-keys/gate.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_the_endpoint_answers_and_the_log_says_why(stack: Stack, trained: dict[str, Any], folder: Path) -> None:
    stack.kubectl("wait", "--for=create", "httproute/fraud", "--timeout=300s")
    said = follow(stack, folder, f"{section('4. The data')}\n{section('6. The endpoint')}")
    answer, _ = json.JSONDecoder().raw_decode(said[said.index('{"') :])
    digest = trained["gate"].parameters["version"]
    assert answer["model_version"] == digest
    assert digest[:8] in said
