"""The compiled packages."""

from __future__ import annotations

from pathlib import Path

from sluice.settings import UseCase
from sluice_pipelines.monitoring import monitoring_pipeline
from sluice_pipelines.scoring import scoring_pipeline
from sluice_pipelines.training import selftest_pipeline, training_pipeline

GRAPHS = {
    "training": training_pipeline,
    "gate-selftest": selftest_pipeline,
    "scoring": scoring_pipeline,
    "monitoring": monitoring_pipeline,
}
"""The pipelines by name."""


def compile_packages(use_case: UseCase, folder: Path) -> list[Path]:
    """Write a package for training, for the gate's self-test, batch scoring and monitoring into `folder`.

    The settings are each one's default parameter, to be edited in the UI.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [compile_package(use_case, name, folder) for name in GRAPHS]


def compile_package(use_case: UseCase, name: str, folder: Path) -> Path:
    """Write the package of one pipeline into a folder that is there."""
    from kfp import compiler

    path = folder / f"{use_case.name}-{name}.yaml"
    compiler.Compiler().compile(GRAPHS[name](use_case), str(path))
    return path
