"""`sluice payloads …`: the payload ledger's receiver on this machine, who may write to it, and how it is kept small."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from sluice.ledger import answers, compact, expire
from sluice.ledger.layout import partitions
from sluice.storage import open_store
from sluice_cli.console import out
from sluice_cli.options import WORK, Overlay, Store, UseCaseFile, Work, load
from sluice_cli.receiving import CALLERS, receiving


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(no_args_is_help=True, help="The payload ledger: what the endpoint answered, and why.")
    for verb in (receive, admit, show, compact_files, expire_days):
        group.command({compact_files: "compact", expire_days: "expire"}.get(verb))(verb)
    app.add_typer(group, name="payloads")


def receive(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one")] = 0,
    forward: Annotated[
        str | None, typer.Option(help="http://host:port of a drift server; token: SLUICE_PAYLOADS_FORWARD_TOKEN")
    ] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Take events for this use case's store until Ctrl-C; who may send them: `sluice payloads admit`."""
    settings = load(use_case, overlay, store=store)
    with receiving(settings, work / "payloads", port, forward=forward) as receiver:
        out.print(f"the payload ledger takes events at {receiver.address}/models/{settings.name}")
        out.print(
            f"  a server sends them with payloads.address: {receiver.address}; metrics: {receiver.address}/metrics"
        )
        try:
            raise typer.Exit(receiver.process.wait())
        except KeyboardInterrupt:
            receiver.process.wait()


def admit(
    name: Annotated[str, typer.Argument(help="Name of the caller; it is stored beside each event")],
    model: Annotated[list[str] | None, typer.Option(help="Only this model's events; once or more")] = None,
    work: Work = WORK,
) -> None:
    """Let a caller write: prints its new token, whose SHA-256 alone is kept. An old one of that name ends."""
    from sluice.payloads.callers import admit as admit_caller

    path = callers_file(work)
    typer.echo(admit_caller(path, name, model or None))
    typer.echo(f"{name} is in {path}; give the server this token as SLUICE_PAYLOADS_TOKEN", err=True)


def callers_file(work: Path) -> Path:
    """Who may send events on this machine: to the receiver, and to a drift server."""
    return work / "payloads" / CALLERS


def show(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    days: Annotated[int, typer.Option(min=1, help="How many days back")] = 7,
    store: Store = None,
) -> None:
    """What the ledger holds of the last days, by day and version."""
    settings = load(use_case, overlay, store=store)
    place, now = open_store(settings.storage), datetime.now(UTC)
    table = Table("day", "version", "answers", "mean score", "unknown", "stale", "unanswered")
    for back in reversed(range(days)):
        start = (now - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        found = answers(
            place, settings.name, start, start + timedelta(days=1), answer_within=settings.payloads.answer_within
        )
        for (version,), rows in found.frame.group_by("version", maintain_order=True):
            flags = (str(int(rows.get_column(flag).sum() or 0)) for flag in ("unknown", "stale"))
            mean = rows.select(pl.col("score").mean()).item()
            table.add_row(f"{start:%Y-%m-%d}", str(version)[:12], f"{rows.height:,}", f"{mean:.4f}", *flags, "")
        if found.unanswered.height:
            table.add_row(f"{start:%Y-%m-%d}", "", "", "", "", "", f"{found.unanswered.height:,}")
    out.print(table)


def compact_files(use_case: UseCaseFile, overlay: Overlay = None, store: Store = None) -> None:
    """Write small files together. Readers and receivers may run meanwhile; a run that was killed is simply repeated."""
    settings = load(use_case, overlay, store=store)
    place = open_store(settings.storage)
    done = compact(place, settings.name, settings.payloads, now=datetime.now(UTC))
    held = len(partitions(place, settings.name))
    out.print(f"{done.before} files are {done.after} in {held} partitions; {done.rows} copies of rows removed")


def expire_days(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    keep_days: Annotated[float | None, typer.Option(min=0, help="Instead of payloads.keep")] = None,
    store: Store = None,
) -> None:
    """Remove days that are older than `payloads.keep`, for good."""
    settings = load(use_case, overlay, store=store)
    keep = settings.payloads.keep if keep_days is None else timedelta(days=keep_days)
    gone = expire(open_store(settings.storage), settings.name, keep, now=datetime.now(UTC))
    for partition in gone:
        out.print(partition.prefix)
    out.print(f"removed {len(gone)} partitions that ended more than {keep.days} days ago")
