"""`sluice new`: from a table to a use case file and its feature views, with a reason for every role."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sluice.propose import Given, Proposal, propose
from sluice_cli.console import out

Column = Annotated[str | None, typer.Option(metavar="COLUMN")]
Columns = Annotated[list[str] | None, typer.Option(metavar="COLUMN")]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(new)


def new(
    name: Annotated[str, typer.Argument(help="Name of the model: small letters, digits, dashes")],
    source: Annotated[str, typer.Option("--from", help="CSV or Parquet file, a folder or s3:// prefix of them")],
    folder: Annotated[Path, typer.Option(help="Where the use case file goes")] = Path("use_cases"),
    event_id: Column = None,
    event_time: Column = None,
    arrival: Column = None,
    label: Column = None,
    label_time: Column = None,
    entity: Columns = None,
    value: Columns = None,
    personal: Columns = None,
    ignore: Columns = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression")] = None,
    delay: Annotated[str | None, typer.Option(help="How late labels come, such as 7d")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a use case that is there")] = False,
) -> None:
    """Look at a table, propose a role for every column with its reason, and write a use case."""
    given = Given(
        event_id=event_id,
        event_time=event_time,
        arrival=arrival,
        label=label,
        label_time=label_time,
        entities=tuple(entity) if entity else None,
        values=tuple(value) if value else None,
        personal=tuple(personal or ()),
        ignored=tuple(ignore or ()),
    )
    proposal = propose(source, given, task=task, delay=delay)
    _show(proposal)
    if sys.stdin.isatty() and not yes and not typer.confirm("Write it like this?", default=True):
        out.print("nothing written: correct a role with its flag, such as --label COLUMN")
        raise typer.Exit(1)
    path = proposal.write(name, folder, overwrite=overwrite)
    out.print(f"wrote {path}\nnext   sluice check {path}   then   sluice run {path}")


def _show(proposal: Proposal) -> None:
    table = Table("column", "role", "because", title=f"{proposal.task}: what the columns look like")
    for role in proposal.roles:
        table.add_row(role.column, f"{role.role} {role.treatment}".strip(), role.reason)
    out.print(table)
    for note in proposal.notes:
        out.print(f"[yellow]look[/] {note}")
