"""`sluice drift` and `sluice drift-server`: has the world moved since the champion was trained?"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice.errors import StoreError
from sluice.settings import UseCase
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, Overlay, Store, UseCaseFile, Work, load


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (drift, drift_server):
        app.command()(verb)


def drift(
    use_case: UseCaseFile,
    source: Annotated[str, typer.Argument(metavar="TABLE", help="Days to look at: feature rows or raw events")],
    overlay: Overlay = None,
    history: Annotated[Path | None, typer.Option(help="Folder with events and labels before (`sluice ingest`)")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of drift.html and drift.json")] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Compare a table with what the champion was trained on: features, all of them together, and scores.

    Ends with status 0 when nothing moved beyond what is usual, 3 when something did, 4 when a column is broken.
    """
    from sluice.report.drift import drift_table, drift_text, write_drift_report
    from sluice.watch.drift import detect
    from sluice.watch.reference import read_reference
    from sluice.watch.window import window_rows
    from sluice_cli.endpoint import fetch_champion
    from sluice_cli.people import registry_for

    settings = load(use_case, overlay, store=store)
    now = datetime.now(UTC)
    with run_progress() as listen:
        fetched = fetch_champion(settings, work)
        servable = fetched.servable()
        reference = read_reference(registry_for(settings), fetched.digest)
        listen.work("drift")("rows", 0, 0, "features and scores of the window")
        window = window_rows(servable, source, now=now, history=history)
        found = detect(
            settings.watch, servable.schema, reference, window, seed=settings.seed, progress=listen.work("drift")
        )
    out.print(drift_table(found))
    out.print(drift_text(found))
    target = folder or work / "drift" / now.strftime("%Y%m%d-%H%M%S")
    report = write_drift_report(found, target, model=settings.name, version=fetched.digest, written=now)
    (target / "drift.json").write_text(json.dumps(found.document | {"version": fetched.digest}, indent=1))
    out.print(f"report {report}")
    raise typer.Exit({"quiet": 0, "drift": 3, "data-fault": 4}[found.verdict])


def drift_server(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one")] = 0,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Watch the champion's answers as they come, on this machine until Ctrl-C; see docs/drift-server.md.

    When another version is live, that is watched. It takes events from the callers of `sluice payloads admit`;
    `sluice payloads receive --forward` hands them on.
    """
    settings = load(use_case, overlay, store=store)
    while True:
        port = _watch_one(settings, work, port)


def _watch_one(settings: UseCase, work: Path, port: int) -> int:
    """Watch what is live until something else is; returns the port."""
    from sluice.watch.online import running_drift_server, write_drift_server
    from sluice.watch.reference import read_reference
    from sluice_cli.endpoint import fetch_champion
    from sluice_cli.payloads import callers_file
    from sluice_cli.people import registry_for

    fetched, registry = fetch_champion(settings, work), registry_for(settings)
    folder = work / "drift-server" / fetched.digest
    reference = read_reference(registry, fetched.digest)
    write_drift_server(fetched.servable(), reference, settings.watch, settings.payloads, folder)
    with running_drift_server(folder, callers_file(work), port=port) as address:
        out.print(f"answers of version {fetched.digest[:12]} of {settings.name} are watched at {address}")
        out.print(f"  drift: {address}/v1/models/{settings.name}/drift     metrics: {address}/metrics")
        champion: str | None = fetched.digest
        while champion in (fetched.digest, None):
            time.sleep(settings.watch.online.follow.total_seconds())
            # A store that does not answer now is asked again.
            with suppress(StoreError):
                champion = registry.state().champion
    return int(address.rpartition(":")[2])
