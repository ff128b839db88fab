"""The hosted CI's file calls make verbs that are there, and those for packages do what it expects of them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / ".github" / "workflows" / "models.yaml"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def steps() -> list[dict[str, Any]]:
    jobs = yaml.safe_load(FILE.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_what_it_runs_are_make_verbs_that_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = {verb for step in steps() for verb in re.findall(r"make ([a-z-]+)", step.get("run", ""))}
    assert {"check", "images", "release", "publish", "submit"} <= verbs
    assert {verb for verb in verbs if not re.search(rf"^{verb}:", makefile, re.MULTILINE)} == set()


def test_secrets_reach_commands_through_the_environment_only() -> None:
    assert [step["run"] for step in steps() if "secrets." in step.get("run", "")] == []


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A verb, as the file calls it."""
    command = ["make", "--no-print-directory", *words]
    given = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240, env=given)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """The file's variables, with a store and an image of the test's own."""
    overlay = tmp_path / "overlay.yaml"
    image = "registry.example/sluice/pipeline-python@sha256:" + "0" * 64
    overlay.write_text(f"storage: {{url: {tmp_path}/store}}\npipeline: {{image: '{image}'}}\n")
    packages = str(tmp_path / "packages")
    return {"USE_CASE": "use_cases/fraud.yaml", "OVERLAY": str(overlay), "COMMIT": COMMIT, "PACKAGES": packages}


def test_packages_are_compiled_and_published_under_the_commit(tmp_path: Path, given: dict[str, str]) -> None:
    done = make("publish", **given)
    assert done.returncode == 0, done.stderr
    published = tmp_path / "store" / "packages" / COMMIT
    names = sorted(path.name for path in published.iterdir())
    assert names == ["fraud-gate-selftest.yaml", "fraud-monitoring.yaml", "fraud-scoring.yaml", "fraud-training.yaml"]
    assert "sluice/pipeline-python@sha256:000" in (published / "fraud-training.yaml").read_text()
    assert make("publish", **given).returncode == 0


def test_a_run_is_submitted_or_the_reason_is_told(tmp_path: Path, given: dict[str, str]) -> None:
    (tmp_path / "token").write_text("t")
    done = make("submit", HOST="http://127.0.0.1:9", NAMESPACE="team", TOKEN_FILE=str(tmp_path / "token"), **given)
    assert done.returncode != 0
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr

    done = make("submit", HOST="http://127.0.0.1:9", PUBLISHED="1", **given)
    assert f"no package fraud-training.yaml of commit {COMMIT}" in " ".join(done.stderr.split())
