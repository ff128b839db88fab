"""The compiled packages."""

from __future__ import annotations

from pathlib import Path

from sluice.settings import UseCase
from sluice_pipelines.monitoring import monitoring_pipeline
from sluice_pipelines.scoring import scoring_pipeline
from sluice_pipelines.training import selftest_pipeline, training_pipeline


def compile_packages(use_case: UseCase, folder: Path) -> list[Path]:
    """Write a package for training, for the gate's self-test, batch scoring and monitoring into `folder`.

    The settings are each one's default parameter, to be edited in the UI.
    """
    from kfp import compiler

    folder.mkdir(parents=True, exist_ok=True)
    graphs = {
        "training": training_pipeline,
        "gate-selftest": selftest_pipeline,
        "scoring": scoring_pipeline,
        "monitoring": monitoring_pipeline,
    }
    paths = []
    for name, graph in graphs.items():
        paths.append(folder / f"{use_case.name}-{name}.yaml")
        compiler.Compiler().compile(graph(use_case), str(paths[-1]))
    return paths


def compile_training(use_case: UseCase, folder: Path) -> Path:
    """Write the package for training alone."""
    from kfp import compiler

    path = folder / f"{use_case.name}-training.yaml"
    compiler.Compiler().compile(training_pipeline(use_case), str(path))
    return path
