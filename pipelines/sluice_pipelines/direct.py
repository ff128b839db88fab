"""One candidate without a pipeline: ingest, features, split and training in this process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sluice.features.historical import feature_rows
from sluice.ingest import ingest
from sluice.settings import UseCase
from sluice.splits.files import write_split
from sluice.steps import Progress
from sluice.training.task import train_from_folders


def train_directly(
    use_case: UseCase, candidate: str, folder: Path, progress: Callable[[str], Progress]
) -> dict[str, float]:
    """Train the candidate with this id into `folder`; `progress` gives what to tell under a step's name.

    Raises:
        SettingsError: there is no such candidate.
    """
    ingested = ingest(use_case, now=datetime.now(UTC), progress=progress("ingest"))
    rows = feature_rows(use_case, ingested.events, ingested.labels, progress=progress("features"))
    with tempfile.TemporaryDirectory(prefix="sluice-train-") as scratch:
        train, validation, sealed = (Path(scratch) / name for name in ("train", "validation", "sealed"))
        write_split(use_case, rows, ingested, train=train, validation=validation, sealed=sealed)
        return train_from_folders(
            use_case, candidate, train=train, validation=validation, folder=folder, progress=progress("train")
        )
