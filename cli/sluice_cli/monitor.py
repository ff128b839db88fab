"""`sluice monitor`: the last window of the champion, what it violates, and what follows."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice.errors import PipelineError
from sluice.settings import UseCase
from sluice.settings.base import read_instant
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, Overlay, Store, UseCaseFile, Work, load


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(monitor)


At = Annotated[str | None, typer.Option("--at", help="Look from this instant, 2018-10-15T00:00:00Z; default: now")]
Train = Annotated[bool, typer.Option(help="Run the training pipeline here where the rules ask for it")]


def monitor(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    at: At = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the report, the table and the metrics")
    ] = None,
    train: Train = True,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Watch the champion: drift in its last whole window, its worth as labels arrive, alerts and retraining by rule.

    Ends with status 0 when nothing is violated, 3 when something is, 4 when a column is broken.
    """
    from sluice.report.monitor import monitor_text, write_monitor_files
    from sluice.watch.acting import act
    from sluice.watch.monitor import watch
    from sluice_cli.people import registry_for

    settings, now = load(use_case, overlay, store=store), datetime.now(UTC)
    instant = now if at is None else read_instant(at, "--at")
    registry = registry_for(settings, "monitor")
    with alone(work, settings.name):
        with run_progress() as listen:
            watched = watch(registry, settings, at=instant, now=now, progress=listen.work("monitor"))
        acted = act(registry, settings, at=instant) if train else None
        target = folder or work / "monitor" / settings.name / instant.strftime("%Y%m%dT%H%M%S")
        files = write_monitor_files(watched, registry.log(), target, written=now)
        out.print(monitor_text(watched, acted))
        out.print(f"report {files.report}")
        if acted is not None and acted.run is not None:
            retrain(settings, acted.run, instant, work, given=at is not None)
    raise typer.Exit({"data-fault": 4, "violated": 3}.get(watched.window["verdict"], 0))


@contextmanager
def alone(work: Path, name: str) -> Iterator[None]:
    """One monitor of a use case at a time in a work folder: two would start one run twice.

    Raises:
        PipelineError: another one is at work.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / f"monitor-{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(f"another monitor of {name} is at work in {work}", "wait for it to end") from None
        yield


def retrain(settings: UseCase, run: str, at: datetime, work: Path, *, given: bool, online: Path | None = None) -> None:
    """Run the training pipeline that was decided on here, and show what came of it.

    Args:
        at, given: as in `retraining_settings`.
        online: folder of the embedded online store; default: `run_locally`'s.
    """
    from sluice.watch.acting import retraining_settings
    from sluice_cli.results import show
    from sluice_pipelines.local import run_locally

    out.rule(f"[bold]Training anew[/]: run {run}")
    again = retraining_settings(settings, at, given=given)
    with run_progress() as listen:
        finished = run_locally(again, run_id=run, work=work, online=online, listen=listen)
    show(finished.folder)
