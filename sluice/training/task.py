"""Training from the folders that a pipeline hands on, and reading back what it left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from sluice.errors import SettingsError
from sluice.evaluation.evaluate import choose_threshold
from sluice.settings import UseCase
from sluice.splits.files import read_rows, read_schema
from sluice.steps import Progress
from sluice.storage import open_store
from sluice.training.files import VALIDATION_SCORES
from sluice.training.train import train_candidate


def train_from_folders(
    use_case: UseCase, candidate: str, *, train: Path, validation: Path, folder: Path, progress: Progress
) -> dict[str, float]:
    """Train the candidate with this id into `folder`; returns the figures worth showing.

    Raises:
        SettingsError: there is no such candidate.
    """
    by_id = {c.id: c for c in use_case.training.candidates}
    if candidate not in by_id:
        raise SettingsError("training.candidates", [f"there is no candidate {candidate!r}: {', '.join(by_id)}"])
    trained = train_candidate(
        by_id[candidate],
        use_case,
        read_schema(train),
        read_rows(train),
        read_rows(validation),
        folder,
        store=open_store(use_case.storage),
        progress=progress,
    )
    run = trained.document["run"]
    return {
        use_case.training.metric: trained.metric,
        "rows_per_second": round(run["rows_per_second"]),
        "seconds": round(run["seconds"], 1),
    }


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
