"""A training run of the replay: the steps of the training pipeline, as one process or as the pipeline itself."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from sluice.ingest import ingest
from sluice.planning import plan_steps
from sluice.promotion import gate_challenger
from sluice.selection import select_challenger
from sluice.settings import UseCase
from sluice.splits.files import write_split
from sluice.steps import silent
from sluice.training.task import train_from_folders
from sluice_pipelines.local import run_locally


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def train_in_pipeline(use_case: UseCase, run: str, work: Path) -> str:
    """What the gate decided on a run of the training pipeline, each step a process of its own."""
    return run_locally(use_case, run_id=run, work=work).decision


def train_here(use_case: UseCase, run: str, work: Path, rows: pl.DataFrame) -> str:
    """What the gate decided on the same steps, called one after another in this process.

    Args:
        use_case: its data end at the instant of the run.
        rows: feature rows of the whole table. A row holds what was known at its event, so that those up to the instant
            are what the pipeline computes from the shorter table.
    """
    folder = work / "here" / run
    shutil.rmtree(folder, ignore_errors=True)
    planned = plan_steps(use_case.model_dump(mode="json", by_alias=True), run, now)
    history = ingest(use_case, now=now())
    history.write(folder / "history")
    parts = {name: folder / name for name in ("train", "validation", "sealed")}
    write_split(use_case, _known(rows, history.events), history, **parts)
    seen = {"train": parts["train"], "validation": parts["validation"]}
    trained = [folder / candidate.id for candidate in use_case.training.candidates]
    for each in trained:
        train_from_folders(use_case, each.name, **seen, folder=each, progress=silent)
    select_challenger(use_case, trained, **seen, code=planned.code, folder=folder / "challenger")
    gated = gate_challenger(
        use_case,
        run_id=planned.run,
        challenger=folder / "challenger",
        train=parts["train"],
        sealed=parts["sealed"],
        history=folder / "history",
        folder=folder / "verdict",
    )
    shutil.rmtree(folder)
    return gated.decision


def _known(rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return rows.join(events.select("event_id"), on="event_id", how="semi", maintain_order="left")
