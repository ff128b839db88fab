"""The door to the other environment: a task of `sluice.watch.alibi` over a folder, files in and files out."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sluice.errors import WatchError
from sluice.processes import of_caller, started
from sluice.steps import Progress, read_line, silent

VARIABLE = "SLUICE_ALIBI_PYTHON"
QUIET = {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
"""alibi-detect imports a library that speaks of others which are not there. The trees are small: threads that wait for
each other on a busy machine cost more than they save."""
_LAST_WORDS = 300
_STOP_SECONDS = 35


def interpreter(environment: Mapping[str, str] | None = None) -> Path:
    """The other environment's Python: `$SLUICE_ALIBI_PYTHON`, or `.venv-alibi` of the checkout.

    Raises:
        WatchError: it is not there.
    """
    named = (os.environ if environment is None else environment).get(VARIABLE)
    path = Path(named) if named else Path(__file__).parents[2] / ".venv-alibi/bin/python"
    if not path.exists():
        raise WatchError(
            f"the environment of detectors and explainers is not there: {path}",
            f"`make setup-alibi` sets it up; {VARIABLE} names the Python of another one",
        )
    return path


def call(task: str, folder: Path, *, python: Path | None = None, progress: Progress = silent) -> None:
    """Run a task over the files in `folder`; it writes its results there. It is killed when this process ends.

    Args:
        python: the other environment's interpreter; default: `interpreter()`.

    Raises:
        WatchError: the task failed; the message is its own.
    """
    command = [str(python or interpreter()), "-m", "sluice.watch.alibi", task, str(folder)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=of_caller(environment())
        ) as process,
    ):
        try:
            failure = _listen(process, progress)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        if failure is not None:
            raise WatchError(str(failure["message"]), str(failure["hint"]))
        if status != 0:
            raise WatchError(f"{task} ended with status {status}: {_last_words(errors)}", "see what the machine lacked")


@contextmanager
def server(module: str, folder: Path, options: Sequence[str], *, python: Path | None = None) -> Iterator[str]:
    """The address of a server of the other environment while the block lasts; it is killed when this process ends.

    Args:
        module: it takes a folder, and `options`, and says on standard output where it listens.

    Raises:
        WatchError: it does not start; its own words are on standard error.
    """
    command = [str(python or interpreter()), "-W", "ignore", "-m", module, str(folder), *options]
    with started(command, environment(), grace=_STOP_SECONDS) as (_, said):
        if said is None:
            name = module.rpartition(".")[2].replace("_", " ")
            raise WatchError(f"the {name} did not start", "its own words stand above")
        yield str(said["address"])


def _listen(process: subprocess.Popen[str], progress: Progress) -> dict[str, Any] | None:
    """Pass progress on; the fields of the failure, if the task told one."""
    failure = None
    assert process.stdout is not None
    for line in process.stdout:
        match fields := read_line(line):
            case {"kind": "progress", "part": part, "done": done, "total": total, "note": note}:
                progress(part, done, total, note)
            case {"kind": "failed"}:
                failure = fields
    return failure


def environment() -> dict[str, str]:
    """The variables that a process of the other environment gets: none of this one's Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**QUIET, **kept}


def _last_words(errors: IO[str]) -> str:
    errors.seek(0)
    lines = errors.read().strip().splitlines()
    return lines[-1][-_LAST_WORDS:] if lines else "it said nothing"
