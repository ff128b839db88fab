"""Run a pipeline on this machine with `kfp.local`: steps are subprocesses, finished ones are reused.

The pipeline runs in a process of its own (`python -m sluice_pipelines.local`), whose output is the run's log;
the marked lines in it become progress, and the message of a failing step becomes the error of the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sluice.errors import PipelineError, RegistryError, StoreError
from sluice.processes import end_with_caller, of_caller
from sluice.registry import RunLog
from sluice.settings import UseCase, parse_use_case, settings_json
from sluice.steps import read_line
from sluice.storage import open_store

Listener = Callable[[dict[str, Any]], None]


def new_run_id() -> str:
    """A name for a run that sorts by time."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]


def unheard(_fields: dict[str, Any]) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class LocalRun:
    """A finished run: what was decided, and where its verdict, report and card lie."""

    run_id: str
    folder: Path
    decision: str
    version: str

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.folder / "card.html"


def run_locally(
    use_case: UseCase,
    *,
    run_id: str,
    pipeline: Literal["training", "selftest"] = "training",
    work: Path = Path(".sluice"),
    online: Path | None = None,
    sample: float = 1.0,
    fresh: bool = False,
    listen: Listener = unheard,
) -> LocalRun:
    """Run a pipeline here.

    Args:
        work: folder for runs and reused steps.
        online: folder of the embedded online store; default: `online/<name>` in `work`.
        sample: share of the entities.
        fresh: run all steps, also those whose inputs and code have not changed.
        listen: gets the fields of every progress line.

    Raises:
        PipelineError: a step failed; the message is the step's own.
    """
    folder = (work / "runs" / run_id).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    online = (online or work / "online" / use_case.name).absolute()
    request = {
        "pipeline": pipeline,
        "settings": use_case.model_dump(mode="json", by_alias=True),
        "arguments": {"run_id": run_id, "sample": sample}
        | ({"online_folder": str(online)} if pipeline == "training" else {}),
        "fresh": fresh,
        "work": str(work.absolute()),
    }
    (folder / "request.json").write_text(json.dumps(request, indent=1))
    command = [sys.executable, "-m", "sluice_pipelines.local", str(folder / "request.json")]
    try:
        outcome = _follow(command, folder, listen)
    except PipelineError as error:
        _note_failure(use_case, run_id, error)
        raise
    shutil.copytree(outcome["folder"], folder, dirs_exist_ok=True)
    return LocalRun(run_id, folder, outcome["decision"], outcome["version"])


def _note_failure(use_case: UseCase, run_id: str, error: PipelineError) -> None:
    """Close the run's entry in the log of runs; a run that failed before it had one, or its store, has nothing to."""
    with contextlib.suppress(RegistryError, StoreError):
        log = RunLog(open_store(use_case.storage), use_case.name, clock=lambda: datetime.now(UTC))
        log.finish(run_id, "failed", message=error.message)


def _follow(command: list[str], folder: Path, listen: Listener) -> dict[str, Any]:
    log = folder / "log.txt"
    told: dict[str, dict[str, Any]] = {}
    environment = {**of_caller(os.environ), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    with (
        log.open("w", buffering=1) as written,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                written.write(line)
                fields = read_line(line)
                if fields is not None:
                    listen(fields)
                    told.setdefault(fields["kind"], fields)
        except BaseException:
            process.terminate()
            raise
    if process.returncode == 0 and "outcome" in told:
        return told["outcome"]
    if "failed" in told:
        failed = told["failed"]
        message, hint = f"step {failed['step']}: {failed['message']}", failed["hint"] or f"the whole log is {log}"
        raise PipelineError(message, hint, failed.get("ways", ()))
    raise PipelineError(f"the run ended with status {process.returncode}", f"the whole log is {log}")


def main(request_file: str) -> None:
    """Entry point of the run's own process, which ends when its caller does: nobody would know of its end."""
    end_with_caller()
    from kfp import local

    from sluice_pipelines.training import selftest_pipeline, training_pipeline

    warnings.simplefilter("ignore")
    request = json.loads(Path(request_file).read_text())
    use_case = parse_use_case(request["settings"])
    work = Path(request["work"])
    reuse = work / "steps" / "reuse"
    if request["fresh"]:
        shutil.rmtree(reuse, ignore_errors=True)
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(work / "steps"),
        workspace_root=str(work / "workspace"),
        enable_caching=True,
        cache_root=str(reuse),
    )
    graphs = {"training": training_pipeline, "selftest": selftest_pipeline}
    graphs[request["pipeline"]](_without_retries(use_case))(settings=settings_json(use_case), **request["arguments"])


def _without_retries(use_case: UseCase) -> UseCase:
    """Retries are for nodes that go away; here a failing step would only fail again, later."""
    pipeline = use_case.pipeline
    once = {name: getattr(pipeline, name).model_copy(update={"retries": 0}) for name in ("steps", "training")}
    return use_case.model_copy(update={"pipeline": pipeline.model_copy(update=once)})


if __name__ == "__main__":
    main(*sys.argv[1:])
