"""`sluice run | compile | demo`: the pipeline here, and as a package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sluice.settings import UseCase
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, End, Overlay, Seed, Source, Store, UseCaseFile, Work, load
from sluice_cli.results import show


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    from sluice_cli.demo import demo

    for verb in (demo, run, compile_):
        app.command(verb.__name__.rstrip("_"))(verb)


Sample = Annotated[float, typer.Option(min=0.001, max=1.0, help="Run on this share of the entities")]


def run(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    source: Source = None,
    end: End = None,
    seed: Seed = None,
    store: Store = None,
    sample: Sample = 1.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run all steps, also unchanged ones")] = False,
    work: Work = WORK,
) -> None:
    """Run the training pipeline on this machine, from raw events to the gate's decision."""
    from sluice_cli.scaling import run_or_ask
    from sluice_pipelines.local import LocalRun, new_run_id, run_locally

    def once(settings: UseCase, again: bool) -> LocalRun:
        anew = fresh and not again
        with run_progress() as listen:
            return run_locally(settings, run_id=new_run_id(), work=work, sample=sample, fresh=anew, listen=listen)

    settings = load(use_case, overlay, source=source, end=end, seed=seed, store=store)
    show(run_or_ask(settings, once).folder)


def compile_(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the packages")] = Path("build/pipelines"),
    source: Source = None,
) -> None:
    """Write the packages that the Kubeflow Pipelines UI takes."""
    from sluice_pipelines.packages import compile_packages

    for path in compile_packages(load(use_case, overlay, source=source), out_folder):
        out.print(f"wrote {path}")
