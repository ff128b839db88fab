"""Run a pipeline on this machine with `kfp.local`: steps are subprocesses, finished ones are reused.

The pipeline runs in a process of its own (`python -m sluice_pipelines.local`), whose output is the run's log;
the marked lines in it become progress, and the message of a failing step becomes the error of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.errors import PipelineError
from sluice.settings import UseCase, parse_use_case
from sluice.steps import read_line

Listener = Callable[[dict[str, Any]], None]


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
    work: Path = Path(".sluice"),
    sample: float = 1.0,
    fresh: bool = False,
    listen: Listener = lambda fields: None,
) -> LocalRun:
    """Run the training pipeline here.

    Args:
        work: folder for runs, reused steps and the embedded online store.
        sample: share of the entities.
        fresh: run all steps, also those whose inputs and code have not changed.
        listen: gets the fields of every progress line.

    Raises:
        PipelineError: a step failed; the message is the step's own.
    """
    folder = (work / "runs" / run_id).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    request = {
        "settings": use_case.model_dump(mode="json", by_alias=True),
        "run_id": run_id,
        "sample": sample,
        "fresh": fresh,
        "work": str(work.absolute()),
        "folder": str(folder),
    }
    (folder / "request.json").write_text(json.dumps(request, indent=1))
    outcome = _follow([sys.executable, "-m", "sluice_pipelines.local", str(folder / "request.json")], folder, listen)
    shutil.copytree(outcome["folder"], folder, dirs_exist_ok=True)
    return LocalRun(run_id, folder, outcome["decision"], outcome["version"])


def _follow(command: list[str], folder: Path, listen: Listener) -> dict[str, Any]:
    log = folder / "log.txt"
    told: dict[str, dict[str, Any]] = {}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    with (
        log.open("w") as written,
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
        raise PipelineError(f"step {failed['step']}: {failed['message']}", failed["hint"] or f"the whole log is {log}")
    raise PipelineError(f"the run ended with status {process.returncode}", f"the whole log is {log}")


def main(request_file: str) -> None:
    """Entry point of the run's own process."""
    from kfp import local

    from sluice_pipelines.training import training_pipeline

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
    training_pipeline(_without_retries(use_case))(
        settings=json.dumps(request["settings"]),
        run_id=request["run_id"],
        sample=request["sample"],
        online_folder=str(work / "online"),
    )


def _without_retries(use_case: UseCase) -> UseCase:
    """Retries are for nodes that go away; here a failing step would only fail again, later."""
    pipeline = use_case.pipeline
    once = {name: getattr(pipeline, name).model_copy(update={"retries": 0}) for name in ("steps", "training")}
    return use_case.model_copy(update={"pipeline": pipeline.model_copy(update=once)})


if __name__ == "__main__":
    main(sys.argv[1])
