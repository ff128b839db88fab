"""Training from the folders that a pipeline hands on, and reading back what it left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.errors import MoreProcessesError, SettingsError
from sluice.evaluation.evaluate import choose_threshold
from sluice.settings import UseCase
from sluice.settings.training import Candidate
from sluice.splits.files import read_rows, read_schema
from sluice.steps import Progress
from sluice.storage import open_store
from sluice.training.files import VALIDATION_SCORES
from sluice.training.processes import train_in_processes
from sluice.training.train import Trained, train_candidate


def train_from_folders(
    use_case: UseCase, candidate: str, *, train: Path, validation: Path, folder: Path, progress: Progress
) -> dict[str, float]:
    """Train the candidate with this id into `folder`; returns the figures worth showing.

    A network takes as many processes of this machine as `training.distributed` says, or as the memory plan finds.

    Raises:
        SettingsError: there is no such candidate.
    """
    wanted = candidate_of(use_case, candidate)
    places: Any = {"train": train, "validation": validation, "folder": folder, "progress": progress}
    processes = processes_of(use_case, wanted)
    if processes > 1:
        return train_in_processes(use_case, candidate, processes, **places)
    try:
        trained = train_candidate(
            wanted,
            use_case,
            read_schema(train),
            read_rows(train),
            read_rows(validation),
            folder,
            store=open_store(use_case.storage),
            progress=progress,
        )
    except MoreProcessesError as error:
        return train_in_processes(_on_cards(use_case), candidate, error.processes, **places)
    return worth_showing(use_case, trained)


def candidate_of(use_case: UseCase, candidate: str) -> Candidate:
    """The candidate with this id.

    Raises:
        SettingsError: there is none.
    """
    by_id = {c.id: c for c in use_case.training.candidates}
    if candidate not in by_id:
        raise SettingsError("training.candidates", [f"there is no candidate {candidate!r}: {', '.join(by_id)}"])
    return by_id[candidate]


def processes_of(use_case: UseCase, candidate: Candidate) -> int:
    """How many processes train this candidate: only a network's training is shared."""
    distributed = use_case.training.distributed
    return distributed.processes if distributed.engine != "none" and candidate.kind == "network" else 1


def worth_showing(use_case: UseCase, trained: Trained) -> dict[str, float]:
    """The metric, the speed and how long it took."""
    if "run" not in trained.document:
        return {"trials that failed": len(trained.document["search"])}
    run = trained.document["run"]
    return {
        use_case.training.metric: trained.metric,
        "rows_per_second": round(run["rows_per_second"]),
        "seconds": round(run["seconds"], 1),
    }


def _on_cards(use_case: UseCase) -> UseCase:
    """The way that was taken, as a setting: whoever was asked is not asked again."""
    training = use_case.training
    memory = training.memory.model_copy(update={"over_budget": "gpus"})
    return use_case.model_copy(update={"training": training.model_copy(update={"memory": memory})})


def validation_threshold(use_case: UseCase, folder: Path) -> float | None:
    """The score from which on a trained candidate says yes, chosen on its validation scores; None but for binary."""
    if use_case.task != "binary":
        return None
    label = pl.read_parquet(folder / VALIDATION_SCORES).get_column("label").to_numpy()
    return choose_threshold(use_case, label, read_scores(folder))


def read_scores(folder: Path) -> np.ndarray:
    """The validation scores of a trained candidate, float32 [n] or [n, k], in the validation rows' order."""
    scores = pl.read_parquet(folder / VALIDATION_SCORES).get_column("score").to_list()
    return np.array(scores, dtype=np.float32)
