"""`sluice train | score | serve`: one model at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, End, Overlay, Source, Store, UseCaseFile, Work, load


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (train, score, serve):
        app.command()(verb)


def train(
    use_case: UseCaseFile,
    candidate: Annotated[str, typer.Option(help="Id of the candidate")],
    overlay: Overlay = None,
    folder: Annotated[Path, typer.Option(help="Where graph and record go")] = WORK / "candidate",
    source: Source = None,
    end: End = None,
) -> None:
    """Train one candidate from the raw events, without the gate and without a registry."""
    from sluice_pipelines.direct import train_directly

    settings = load(use_case, overlay, source=source, end=end)
    with run_progress() as listen:
        figures = train_directly(settings, candidate, folder, listen.work)
    out.print(f"{candidate}: " + ", ".join(f"{name} {value:.6g}" for name, value in figures.items()) + f" → {folder}")


def score(
    use_case: UseCaseFile,
    source: Annotated[str, typer.Argument(help="Events to score: CSV or Parquet, a folder or s3:// prefix")],
    target: Annotated[Path, typer.Argument(help="Where the scores go: .parquet or .csv")],
    overlay: Overlay = None,
    history: Annotated[Path | None, typer.Option(help="Folder with events and labels before (`sluice ingest`)")] = None,
    store: Store = None,
) -> None:
    """Score a table with the champion: a row out for every row in, features as of each event."""
    from sluice.batch import score_with_champion
    from sluice_cli.people import registry_for

    registry = registry_for(load(use_case, overlay, store=store))
    with run_progress() as listen:
        now, progress = datetime.now(UTC), listen.work("score")
        scored = score_with_champion(registry, source, target, now=now, history=history, progress=progress)
    written = scored.file
    out.print(f"{written.scored:,} of {written.rows:,} rows scored by version {scored.version[:12]} → {written.path}")
    for warning in scored.warnings:
        out.print(f"[yellow]warning[/] {warning}")
    for reason, count in written.reasons.items():
        out.print(f"[yellow]not scored[/] {count:,}: {reason}")


def serve(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0: any free one")] = None,
    online: Annotated[Path | None, typer.Option(help="Folder of the embedded online store")] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Serve the champion on this machine until Ctrl-C; see docs/serving.md for what to send."""
    from sluice_cli.endpoint import fetch_champion, running

    settings = load(use_case, overlay, store=store)
    champion = fetch_champion(settings, work)
    state = online or work / "online" / settings.name
    chosen = settings.serving.port if port is None else port
    ledger = settings.payloads.address
    with running(champion, state, chosen, settings.data.pseudonym_key, ledger) as endpoint:
        out.print(f"version {endpoint.version[:12]} of {endpoint.model} answers at {endpoint.address}")
        out.print(f"  curl {endpoint.address}/v1/models/{endpoint.model}     metrics: {endpoint.address}/metrics")
        if ledger:
            out.print(f"  requests and answers go to the payload ledger at {ledger}")
        while True:
            time.sleep(3600)
