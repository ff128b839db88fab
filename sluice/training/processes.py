"""One candidate in several processes of this machine, which `torchrun` starts; again when one of them dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

from sluice.errors import MemoryPlanError, TrainingError
from sluice.settings import UseCase, sections_document
from sluice.steps import Progress, read_line

NEEDED = ("name", "task", "seed", "data", "features", "training", "export", "evaluation", "storage")
"""The sections that a training reads."""


def train_in_processes(
    use_case: UseCase,
    candidate: str,
    processes: int,
    *,
    train: Path,
    validation: Path,
    folder: Path,
    progress: Progress,
) -> dict[str, float]:
    """Train the candidate with this id in `processes` processes; returns what the first one found worth showing.

    Raises:
        MemoryPlanError, TrainingError: as the first process said it.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-processes-") as scratch:
        settings, outcome = Path(scratch) / "settings.json", Path(scratch) / "outcome.json"
        settings.write_text(json.dumps(sections_document(use_case, NEEDED)), encoding="utf-8")
        arguments = [f"--settings={settings}", f"--candidate={candidate}", f"--outcome={outcome}"]
        arguments += [f"--train={train}", f"--validation={validation}", f"--folder={folder}"]
        training = use_case.training
        environment = {**os.environ, "OMP_NUM_THREADS": str(training.threads)}
        command = [*launcher(processes), *arguments]
        last: list[str] = []
        for _ in range(1 + training.distributed.restarts):
            last = _follow(command, environment, progress)
            if outcome.exists():
                break
        else:
            raise TrainingError(
                f"the processes that train {candidate} ended:\n" + "\n".join(last), "read the log above"
            )
        return figures(json.loads(outcome.read_text(encoding="utf-8")))


def launcher(processes: int) -> list[str]:
    """What starts the processes on this machine, up to their arguments.

    When one dies, torchrun ends the others and itself: it is started anew, as its own restarts hand the new processes
    the addresses of the dead ones (torch 2.13, gloo).
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*torchrun, f"--nproc-per-node={processes}", "--max-restarts=0", "-m", "sluice.training.worker"]


def figures(outcome: dict[str, Any]) -> dict[str, float]:
    """The figures of a training that ended well.

    Raises:
        MemoryPlanError, TrainingError: what the first process said instead.
    """
    if "failed" not in outcome:
        found: dict[str, float] = outcome["figures"]
        return found
    failed = outcome["failed"]
    if failed["ways"] is not None:
        raise MemoryPlanError(failed["message"], failed["hint"], failed["ways"])
    raise TrainingError(failed["message"], failed["hint"])


def _follow(command: list[str], environment: dict[str, str], progress: Progress) -> list[str]:
    """Run it, hand its progress on and everything else through; its last lines."""
    last: deque[str] = deque(maxlen=12)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said = read_line(line)
                if said is not None and said.get("kind") == "progress":
                    progress(said["part"], said["done"], said["total"], said["note"])
                    continue
                last.append(line.rstrip())
                print(line, end="", flush=True)
        except BaseException:
            # torchrun ends its processes when it is told to end.
            process.terminate()
            raise
    return list(last)
