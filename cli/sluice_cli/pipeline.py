"""`sluice run | compile | submit | demo`: the pipeline here, as a package, and on Kubeflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, End, Seed, Source, Store, UseCaseFile, Work, load
from sluice_cli.results import show


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    from sluice_cli.demo import demo

    for verb in (demo, run, compile_, submit):
        app.command(verb.__name__.rstrip("_"))(verb)


Sample = Annotated[float, typer.Option(min=0.001, max=1.0, help="Run on this share of the entities")]


def run(
    use_case: UseCaseFile,
    source: Source = None,
    end: End = None,
    seed: Seed = None,
    store: Store = None,
    sample: Sample = 1.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run all steps, also unchanged ones")] = False,
    work: Work = WORK,
) -> None:
    """Run the training pipeline on this machine, from raw events to the gate's decision."""
    from sluice_pipelines.local import new_run_id, run_locally

    settings = load(use_case, source=source, end=end, seed=seed, store=store)
    with run_progress() as listen:
        finished = run_locally(settings, run_id=new_run_id(), work=work, sample=sample, fresh=fresh, listen=listen)
    show(finished.folder)


def compile_(
    use_case: UseCaseFile,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the packages")] = Path("build/pipelines"),
    source: Source = None,
) -> None:
    """Write the packages that the Kubeflow Pipelines UI takes."""
    from sluice_pipelines.packages import compile_packages

    for path in compile_packages(load(use_case, source=source), out_folder):
        out.print(f"wrote {path}")


def submit(
    use_case: UseCaseFile,
    host: Annotated[str, typer.Option(help="Address of Kubeflow Pipelines, http://host:port")],
    namespace: Annotated[str | None, typer.Option(help="Profile namespace")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token")] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificate authority of the host")] = None,
    source: Source = None,
    sample: Sample = 1.0,
) -> None:
    """Send the training pipeline to Kubeflow and start it."""
    from sluice_pipelines.packages import submit as send

    started = send(
        load(use_case, source=source), host=host, namespace=namespace, token_file=token_file, ca=ca, sample=sample
    )
    out.print(f"started {started}")
