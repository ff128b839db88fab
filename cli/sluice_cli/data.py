"""`sluice simulate | ingest | new | check`: the data and its use case file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.console import out
from sluice_cli.options import End, Overlay, Source, UseCaseFile, load


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (simulate, ingest, check):
        app.command()(verb)


def simulate(
    folder: Annotated[Path, typer.Argument(help="Where to write the raw table")],
    days: Annotated[int, typer.Option(min=1, help="Days from 2018-04-01 on")] = 183,
    cards: Annotated[int, typer.Option(min=1)] = 5000,
    terminals: Annotated[int, typer.Option(min=1)] = 10000,
    seed: Annotated[int, typer.Option(min=0)] = 7,
) -> None:
    """Write simulated card transactions with late fraud labels."""
    from sluice.simulate import World, write_raw

    path = write_raw(World(days=days, cards=cards, terminals=terminals), seed, folder)
    out.print(f"wrote {path}")


def ingest(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    folder: Annotated[Path, typer.Option(help="Where to write events, labels and quarantine")] = Path(
        "feature_repo/data"
    ),
    source: Source = None,
    end: End = None,
) -> None:
    """Read, check and quarantine raw events; write the tables that the feature repository reads."""
    from sluice.ingest import ingest as read

    ingested = read(load(use_case, overlay, source=source, end=end), now=datetime.now(UTC))
    ingested.write(folder)
    out.print(
        f"{ingested.events.height:,} events, {ingested.labels.height:,} labels, "
        f"{ingested.quarantine.height:,} quarantined → {folder}"
    )


def check(use_case: UseCaseFile, overlay: Overlay = None, source: Source = None) -> None:
    """Say whether a use case file can be run, and every mistake in it if not."""
    settings = load(use_case, overlay, source=source)

    from sluice.planning import check_use_case

    check_use_case(settings.model_dump(mode="json", by_alias=True))
    out.print(
        f"[green]✓[/] {use_case}: {settings.name}, {settings.task}, {len(settings.training.candidates)} candidates"
    )
