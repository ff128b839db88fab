"""The compiled packages, and sending one to Kubeflow Pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sluice.errors import PipelineError
from sluice.settings import UseCase
from sluice_pipelines.scoring import scoring_pipeline
from sluice_pipelines.training import selftest_pipeline, settings_json, training_pipeline


def compile_packages(use_case: UseCase, folder: Path) -> list[Path]:
    """Write a package for training, for the gate's self-test and for batch scoring into `folder`.

    The settings are each one's default parameter, to be edited in the UI.
    """
    from kfp import compiler

    folder.mkdir(parents=True, exist_ok=True)
    graphs = {"training": training_pipeline, "gate-selftest": selftest_pipeline, "scoring": scoring_pipeline}
    paths = []
    for name, graph in graphs.items():
        paths.append(folder / f"{use_case.name}-{name}.yaml")
        compiler.Compiler().compile(graph(use_case), str(paths[-1]))
    return paths


def submit(
    use_case: UseCase,
    *,
    host: str,
    namespace: str | None = None,
    token_file: Path | None = None,
    ca: Path | None = None,
    sample: float = 1.0,
    client: Any = None,
) -> str:
    """Start the training pipeline on Kubeflow; returns the run's address.

    Raises:
        PipelineError: the host does not answer or refuses; the token file cannot be read.
    """
    token = _token(token_file)
    try:
        from kfp import Client

        kubeflow = client or Client(
            host=host, namespace=namespace or "kubeflow", existing_token=token, ssl_ca_cert=str(ca) if ca else None
        )
        started = kubeflow.create_run_from_pipeline_func(
            training_pipeline(use_case),
            arguments={"settings": settings_json(use_case), "sample": sample},
            run_name=f"{use_case.name} training",
            experiment_name=use_case.name,
            namespace=namespace,
        )
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise PipelineError(
            f"{host}: Kubeflow Pipelines does not take the run: {type(error).__name__}: {said}",
            "check --host (the address of the pipelines API), --namespace and --token-file",
        ) from None
    return f"{host}/#/runs/details/{started.run_id}"


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}", "give a file that holds the token") from None
