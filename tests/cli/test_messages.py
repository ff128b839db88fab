"""The command: errors are messages with a status, never tracebacks."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from sluice_cli.main import app, main

ROOT = Path(__file__).parents[2]
FRAUD = str(ROOT / "use_cases" / "fraud.yaml")


def sluice(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command in this process, which has imported everything already: what it printed, and its exit status."""
    printed, told = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(told),
    ):
        patch.setattr(sys, "argv", ["sluice", *arguments])
        try:
            main()
            status: int | str | None = 0
        except SystemExit as ended:
            status = ended.code
    assert status is None or isinstance(status, int)
    return subprocess.CompletedProcess(arguments, status or 0, printed.getvalue(), told.getvalue())


def test_the_command_is_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sluice_cli", "why", FRAUD, "--store", str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout) == (0, "fraud has no champion.\n")
    command[4:] = ["missing.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no such file" in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


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
        (["forget", FRAUD, "crad", "1", "--reason", "r", "--store", "{tmp}/store"], "no entity 'crad'"),
        (["why", FRAUD, "--store", "s3://"], "names no bucket"),
        (["why", FRAUD, "--store", "ftp://x"], "a folder or s3://bucket/prefix"),
        (["compile", FRAUD, "--out", "{tmp}/file/packages"], "/file/packages: Not a directory"),
        (["simulate", "{tmp}/file"], "/file: File exists"),
    ],
)
def test_what_goes_wrong_is_told_in_words(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = sluice(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert result.returncode == 1
    # A terminal breaks lines, even within a long path.
    assert "".join(said.split()) in "".join(result.stderr.split())
    assert "Traceback" not in result.stderr + result.stdout
    assert "→" in result.stderr


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
    assert "no runs of fraud yet" in sluice("runs", FRAUD, *store).stdout
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


def test_a_fresh_demo_removes_only_what_demos_made(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    result = sluice("demo", "--fresh", "--work", str(tmp_path))
    assert result.returncode == 1 and "nothing was removed" in result.stderr
    assert (tmp_path / "letters").is_dir()
    result = sluice("demo", cwd=tmp_path)
    assert result.returncode == 1 and "the folder of Sluice's repository" in " ".join(result.stderr.split())
