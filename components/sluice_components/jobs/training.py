"""A training where the settings want it: in this step, in processes of its machine, or as a TrainJob."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sluice import digests
from sluice.errors import TrainingError
from sluice.handover import Handover
from sluice.settings import UseCase, sections_document
from sluice.steps import Progress
from sluice.storage import open_store
from sluice.training.checkpoints import code_digest
from sluice.training.processes import NEEDED, figures
from sluice.training.task import candidate_of, processes_of, train_from_folders
from sluice_components.jobs.cluster import Cluster, Object
from sluice_components.jobs.trainjob import TRAIN_JOB, train_job

LOOK_EVERY = 2.0
"""Seconds between two looks at a job."""


def train_anywhere(
    use_case: UseCase, candidate: str, *, train: Path, validation: Path, folder: Path, progress: Progress
) -> dict[str, float]:
    """Train the candidate with this id into `folder`; returns the figures worth showing."""
    if (
        use_case.training.distributed.engine != "trainjob"
        or processes_of(use_case, candidate_of(use_case, candidate)) < 2
    ):
        return train_from_folders(
            use_case, candidate, train=train, validation=validation, folder=folder, progress=progress
        )
    return train_by_job(
        use_case, candidate, Cluster.here(), train=train, validation=validation, folder=folder, progress=progress
    )


def train_by_job(
    use_case: UseCase,
    candidate: str,
    cluster: Cluster,
    *,
    train: Path,
    validation: Path,
    folder: Path,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, float]:
    """Hand rows over through the store, wait for a TrainJob, and take the model back.

    The name follows from rows, settings and code: a step that is tried again finds the job that its first try made,
    or what that left.

    Raises:
        TrainingError: what the job's first process said, or the job failed.
        PipelineError: the API server refuses the job.
    """
    name = _name(use_case, candidate, train, validation)
    handover, job = Handover(open_store(use_case.storage), f"train/{name}"), f"sluice-train-{name}"
    outcome = handover.outcome()
    if outcome is None:
        for part, path in (("train", train), ("validation", validation)):
            handover.give(part, path)
        cluster.create(TRAIN_JOB, train_job(use_case, candidate, job, handover.name))
        outcome = _awaited(cluster, job, handover, progress, sleep)
    try:
        found = figures(outcome)
        handover.take("model", folder)
    finally:
        # A failure is no outcome to find again: other cards or rights may be there by then.
        cluster.delete(TRAIN_JOB, job)
        handover.clear()
    return found


def _awaited(
    cluster: Cluster, job: str, handover: Handover, progress: Progress, sleep: Callable[[float], None]
) -> Object:
    seen = 0
    while True:
        found = cluster.read(TRAIN_JOB, job)
        ended = _ended(found)
        outcome = handover.outcome()
        if outcome is not None:
            return outcome
        if found is None:
            raise TrainingError(f"TrainJob {job} is gone, and left no model", "who deleted it? run the step again")
        if ended:
            cluster.delete(TRAIN_JOB, job)
            handover.clear()
            raise TrainingError(f"TrainJob {job}: {ended}", f"kubectl describe trainjob {job}; its pods' logs say more")
        seen += 1
        progress("trainjob", 0, 0, f"{job}, looked at {seen} times")
        sleep(LOOK_EVERY)


def _ended(found: Object | None) -> str:
    """How a job ended that wrote no outcome; empty while it goes on."""
    for condition in (found or {}).get("status", {}).get("conditions", ()):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return f"{condition['type']}: {condition.get('message', '')}"
    return ""


def _name(use_case: UseCase, candidate: str, train: Path, validation: Path) -> str:
    files = [file for part in (train, validation) for file in sorted(part.rglob("*")) if file.is_file()]
    parts = [candidate, code_digest(), sections_document(use_case, NEEDED), [digests.of_file(file) for file in files]]
    return digests.of_json(parts)[:16]
