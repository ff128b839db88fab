"""`sluice train | score | serve`: one model at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, End, Source, Store, UseCaseFile, Work, load


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (train, score, serve):
        app.command()(verb)


def train(
    use_case: UseCaseFile,
    candidate: Annotated[str, typer.Option(help="Id of the candidate")],
    folder: Annotated[Path, typer.Option(help="Where graph and record go")] = WORK / "candidate",
    source: Source = None,
    end: End = None,
) -> None:
    """Train one candidate from the raw events, without the gate and without a registry."""
    from sluice_pipelines.direct import train_directly

    settings = load(use_case, source=source, end=end)
    with run_progress() as listen:
        figures = train_directly(settings, candidate, folder, listen.work)
    out.print(f"{candidate}: " + ", ".join(f"{name} {value:.6g}" for name, value in figures.items()) + f" → {folder}")


def score(
    use_case: UseCaseFile,
    source: Annotated[str, typer.Argument(help="Events to score: CSV or Parquet, a folder or s3:// prefix")],
    target: Annotated[Path, typer.Argument(help="Where the scores go: .parquet or .csv")],
    history: Annotated[Path | None, typer.Option(help="Folder with events and labels before (`sluice ingest`)")] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Score a table with the champion: a row out for every row in, features as of each event."""
    from sluice.export.graph import Graph
    from sluice.features.repository import refuse_other_windows
    from sluice.ingest import Ingested
    from sluice.scoring import score_file
    from sluice_cli.endpoint import fetch_champion

    servable = fetch_champion(load(use_case, store=store), work).servable()
    refuse_other_windows(servable.use_case, servable.document.get("windows"))
    known = Ingested.read(history) if history else None
    with run_progress() as listen:
        scored = score_file(
            servable.use_case,
            Graph(servable.graph),
            servable.schema,
            source,
            target,
            now=datetime.now(UTC),
            history=(known.events, known.labels) if known else None,
            progress=listen.work("score"),
        )
    out.print(f"{scored.scored:,} of {scored.rows:,} rows scored by version {servable.digest[:12]} → {scored.path}")
    for reason, count in scored.reasons.items():
        out.print(f"[yellow]not scored[/] {count:,}: {reason}")


def serve(
    use_case: UseCaseFile,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0: any free one")] = None,
    online: Annotated[Path | None, typer.Option(help="Folder of the embedded online store")] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Serve the champion on this machine until Ctrl-C; see docs/serving.md for what to send."""
    from sluice_cli.endpoint import fetch_champion, running

    settings = load(use_case, store=store)
    champion = fetch_champion(settings, work)
    state = online or work / "online" / settings.name
    with running(champion, state, settings.serving.port if port is None else port) as endpoint:
        out.print(f"version {endpoint.version[:12]} of {endpoint.model} answers at {endpoint.address}")
        out.print(f"  curl {endpoint.address}/v1/models/{endpoint.model}     metrics: {endpoint.address}/metrics")
        while True:
            time.sleep(3600)
