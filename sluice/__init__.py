"""Sluice: entity events and late labels in; gated, served, watched models out.

In a notebook: `run = sluice.run("use_cases/fraud.yaml")`, then `run.decision`, `run.report`, `run.card`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluice_pipelines.local import LocalRun

__version__ = "0.1.0"
__all__ = ["__version__", "run"]


def run(
    path: Path | str,
    *,
    source: str | None = None,
    sample: float = 1.0,
    fresh: bool = False,
    work: Path | str = ".sluice",
    **overrides: Any,
) -> LocalRun:
    """Run the training pipeline of a use case file on this machine, from raw events to the gate's decision.

    Args:
        source: where the events are, instead of `data.source`.
        sample: share of the entities.
        fresh: run all steps, also those whose inputs and code have not changed.
        work: folder for runs, reused steps and the embedded online store.
        overrides: settings laid over the file's, with `__` for the dot: `storage__url="s3://bucket"`.

    Raises:
        SettingsError: the file is wrong. PipelineError: a step failed; the message is the step's own.
    """
    # The one place where the library reaches up: docs/decisions/0001-packages.md.
    from sluice.settings import read_use_case
    from sluice_pipelines.local import new_run_id, run_locally

    laid_over = {"data.source": source} | {name.replace("__", "."): value for name, value in overrides.items()}
    use_case = read_use_case(path, laid_over)
    return run_locally(use_case, run_id=new_run_id(), work=Path(work), sample=sample, fresh=fresh)
