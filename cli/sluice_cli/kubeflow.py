"""`sluice submit | publish`: runs on Kubeflow, and packages under the commit that they were compiled from."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from sluice_cli.console import out
from sluice_cli.options import Overlay, Source, Store, UseCaseFile, load

PACKAGES = Path("build/pipelines")
Pipeline = Annotated[Literal["training", "monitoring"], typer.Option(help="Which pipeline")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (submit, publish):
        app.command()(verb)


def submit(
    use_case: UseCaseFile,
    host: Annotated[
        str, typer.Option(help="Address of Kubeflow Pipelines, such as https://kubeflow.example.com/pipeline")
    ],
    overlay: Overlay = None,
    pipeline: Pipeline = "training",
    namespace: Annotated[str | None, typer.Option(help="Profile namespace")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of the authority behind the host's certificate")] = None,
    package: Annotated[Path | None, typer.Option(help="A compiled package; default: compiled now")] = None,
    published: Annotated[bool, typer.Option("--published", help="Run the package published under the commit")] = False,
    commit: Annotated[str | None, typer.Option(help="For the run's name; default: the checkout's")] = None,
    source: Source = None,
    sample: Annotated[float, typer.Option(min=0.001, max=1.0, help="Run on this share of the entities")] = 1.0,
) -> None:
    """Start a pipeline on Kubeflow; the run is named by commit and data version.

    Of monitoring there is one run at a time: while one has not ended, nothing is started.
    """
    from sluice.storage import open_store
    from sluice_pipelines.publishing import fetch_package
    from sluice_pipelines.submitting import Kubeflow, commit_here, data_version_of, under_way
    from sluice_pipelines.submitting import submit as send

    settings = load(use_case, overlay, source=source)
    place = Kubeflow(host, namespace, token_file, ca)
    if pipeline == "monitoring" and (busy := under_way(settings, place, pipeline)):
        out.print(f"nothing started: {busy} has not ended")
        return
    data, why = data_version_of(settings)
    if why:
        out.print(f"[yellow]the run's name tells no data version[/]: {why}")
    named = commit_here() if commit is None else commit
    with TemporaryDirectory(prefix="sluice-package-") as scratch:
        if published:
            package = fetch_package(
                open_store(settings.storage), settings.name, named, Path(scratch), pipeline=pipeline
            )
        started = send(
            settings,
            place,
            pipeline=pipeline,
            commit=named,
            data_version=data,
            sample=sample,
            package=package,
        )
    out.print(f"started {started}")


def publish(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    packages: Annotated[Path, typer.Option(help="Folder of the packages: `sluice compile` wrote them")] = PACKAGES,
    commit: Annotated[str | None, typer.Option(help="Its hash; default: the checkout's")] = None,
    store: Store = None,
) -> None:
    """Put compiled packages into the store under the commit's hash, where nothing replaces them."""
    from sluice.storage import open_store
    from sluice_pipelines.publishing import publish_packages
    from sluice_pipelines.submitting import commit_here

    settings = load(use_case, overlay, store=store)
    named = commit_here() if commit is None else commit
    for key in publish_packages(open_store(settings.storage), packages, settings.name, named):
        out.print(f"published {settings.storage.url}/{key}")
