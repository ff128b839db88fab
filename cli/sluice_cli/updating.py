"""`sluice update | rebuild-online`: state kept fresh from a stream, and made anew from history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from sluice.errors import SluiceError
from sluice.settings import UseCase
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, End, Overlay, Source, UseCaseFile, Work, load

Services = Annotated[
    list[str] | None, typer.Option("--service", help="Feature service, once or more; default: features.service")
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command()(update)
    app.command("rebuild-online")(rebuild_online)


def update(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    service: Services = None,
    name: Annotated[str | None, typer.Option(help="By which it holds partitions; default: the host's")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of probes and metrics; 0: any free one")] = 0,
    work: Work = WORK,
) -> None:
    """Keep the online store fresh from the stream until Ctrl-C; see docs/updater.md."""
    from sluice_serving.updater.__main__ import main

    words = [str(use_case), "--work", str(work), "--port", str(port)]
    words += [word for path in overlay or () for word in ("--overlay", str(path))]
    words += [word for each in service or () for word in ("--service", each)]
    words += ["--name", name] if name else []
    raise typer.Exit(main(words))


def rebuild_online(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    source: Source = None,
    end: End = None,
    history: Annotated[Path | None, typer.Option(help="Folder with events and labels (`sluice ingest`)")] = None,
    service: Annotated[str | None, typer.Option(help="Feature service; default: features.service")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove first what is left of the state")] = False,
    work: Work = WORK,
) -> None:
    """Make the online store anew from history, while answers say that they are stale."""
    from sluice_serving.updater.building import rebuilt, with_service

    settings = load(use_case, overlay, source=source, end=end)
    settings = with_service(settings, service) if service else settings
    with run_progress() as listen:
        done = rebuilt(
            settings,
            work / "online" / settings.name,
            lambda: _history(settings, history),
            fresh=fresh,
            progress=listen.work("rebuild"),
        )
    rate = done.materialised.written / max(done.state_seconds, 1e-9)
    out.print(
        f"{done.materialised.written:,} rows in {done.state_seconds:.1f} s ({rate:,.0f} a second) after "
        f"{done.history_seconds:.1f} s of reading history; {done.materialised.kept:,} were newer and stay"
    )


def _history(settings: UseCase, folder: Path | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    from sluice.ingest import Ingested, ingest

    if folder is not None and not folder.is_dir():
        raise SluiceError(f"{folder} is no folder", "`sluice ingest` writes one")
    read = Ingested.read(folder) if folder else ingest(settings, now=datetime.now(UTC))
    return read.events, read.labels
