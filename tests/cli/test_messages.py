"""The command: errors are messages with a status, never tracebacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from sluice_cli.main import app

ROOT = Path(__file__).parents[2]
FRAUD = str(ROOT / "use_cases" / "fraud.yaml")


def sluice(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sluice_cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def test_help_tells_every_verb_and_takes_no_settings() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for verb in ("run", "demo", "compile", "submit", "score", "serve", "why", "gate", "verify", "forget"):
        assert verb in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "missing.yaml"], "there is no such file"),
        (["run", "missing.yaml"], "there is no such file"),
        (["ingest", FRAUD, "--source", "/nowhere"], "/nowhere: there is no such file or folder"),
        (["serve", FRAUD, "--store", "{tmp}/store"], "has no champion"),
        (["score", FRAUD, "a.parquet", "b.parquet", "--store", "{tmp}/store"], "has no champion"),
        (["approve", FRAUD, "--reason", "r", "--store", "{tmp}/store"], "await approval"),
        (["pin", FRAUD, "--reason", "r", "--store", "{tmp}/store"], "no champion"),
        (["rollback", FRAUD, "--reason", "r", "--store", "{tmp}/store"], "live before"),
        (["freeze", FRAUD, "--reason", " ", "--store", "{tmp}/store"], "reason"),
        (["submit", FRAUD, "--host", "http://127.0.0.1:9"], "127.0.0.1:9"),
    ],
)
def test_what_goes_wrong_is_told_in_words(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = sluice(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert result.returncode == 1
    told = " ".join(result.stderr.split())
    assert said in told
    assert "Traceback" not in result.stderr + result.stdout
    assert "→" in told


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = Path(FRAUD).read_text().replace("task: binary", "task: binary\nbogus: 1").replace("train: 42d", "train: 42")
    (tmp_path / "fraud.yaml").write_text(text)
    result = sluice("check", str(tmp_path / "fraud.yaml"))
    assert result.returncode == 1
    assert "bogus: unknown setting" in result.stderr
    assert "split.time.train" in result.stderr or "split.train" in result.stderr


def test_people_freeze_and_ask_why(tmp_path: Path) -> None:
    store = ["--store", str(tmp_path / "store")]
    assert sluice("freeze", FRAUD, "--reason", "audit", "--actor", "ana", *store).returncode == 0
    why = sluice("why", FRAUD, *store)
    assert "frozen" in why.stdout and "ana" in why.stdout and "audit" in why.stdout
    assert sluice("unfreeze", FRAUD, "--reason", "done", *store).returncode == 0
    assert sluice("verify", FRAUD, *store).returncode == 0


def test_to_forget_a_card_removes_the_copies_of_its_rows_too(tmp_path: Path) -> None:
    history = tmp_path / "work" / "steps" / "run" / "ingest" / "history"
    history.mkdir(parents=True)
    pl.DataFrame({"event_id": ["a", "b", "c"], "card": ["1", "2", "1"]}).write_parquet(history / "events.parquet")
    places = ["--store", str(tmp_path / "store"), "--work", str(tmp_path / "work")]
    result = sluice("forget", FRAUD, "card", "1", "--reason", "asked to", *places)
    assert result.returncode == 0, result.stderr
    assert "2 events" in result.stdout and not (tmp_path / "work" / "steps").exists()
