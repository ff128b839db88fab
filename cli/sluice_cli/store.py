"""`sluice runs | verify | gc | forget | init`: what the store holds."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from sluice.registry import Keys, Run, RunLog, collect_garbage
from sluice.registry import forget as forget_rows
from sluice.registry import verify as verify_store
from sluice.storage import open_store
from sluice_cli.console import out
from sluice_cli.options import WORK, Actor, Reason, Store, UseCaseFile, Work, load
from sluice_cli.people import registry_of


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (runs, verify, gc, forget, init):
        app.command()(verb)


def runs(
    use_case: UseCaseFile,
    compare: Annotated[list[str] | None, typer.Option(help="Run to compare; give it twice or more")] = None,
    store: Store = None,
) -> None:
    """List all runs, or compare some."""
    settings = load(use_case, store=store)
    log = RunLog(open_store(settings.storage), settings.name, clock=lambda: datetime.now(UTC))
    out.print(_comparison(log, compare) if compare else _list(log.list()))


def _list(found: list[Run]) -> Table:
    table = Table("run", "status", "data", "settings", "seed", "metrics", "said")
    for run in found:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in run.metrics.items() if "checks" not in name)
        data, settings = run.data_version[:8], run.settings_digest[:8]
        table.add_row(run.id, run.status, data, settings, str(run.seed), metrics, run.message)
    return table


def _comparison(log: RunLog, ids: list[str]) -> Table:
    table = Table("", *ids)
    for row in log.compare(*ids):
        table.add_row(row["what"], *("" if row[name] is None else str(row[name]) for name in ids))
    return table


def verify(use_case: UseCaseFile, store: Store = None) -> None:
    """Check every digest, signature and link of a whole store; exit status 1 when anything is wrong."""
    settings = load(use_case, store=store)
    keys = Path(settings.storage.keys)
    found = verify_store(open_store(settings.storage), Keys.open(keys) if keys.exists() else None)
    for problem in found.problems:
        out.print(f"[red]✗[/] {problem.where}: {problem.what}")
    checked = ", ".join(f"{count} {what}" for what, count in found.checked.items())
    out.print(f"{'[green]✓[/] sound' if found.sound else f'{len(found.problems)} problems'}: looked at {checked}")
    if not found.sound:
        raise typer.Exit(1)


def gc(
    use_case: UseCaseFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go")] = False,
    older_than_days: Annotated[float, typer.Option(min=0, help="Younger objects stay")] = 1.0,
    store: Store = None,
) -> None:
    """Remove what no decision and no run refers to."""
    settings = load(use_case, store=store)
    removed = collect_garbage(
        open_store(settings.storage), now=datetime.now(UTC), grace=timedelta(days=older_than_days), dry_run=dry_run
    )
    for key in removed.keys:
        out.print(key)
    out.print(f"{'would remove' if dry_run else 'removed'} {len(removed.keys)} objects, {removed.size / 1e6:.1f} MB")


def forget(
    use_case: UseCaseFile,
    entity: Annotated[str, typer.Argument(help="Name of the entity, such as card")],
    key: Annotated[str, typer.Argument(help="Whose rows to remove")],
    *,
    reason: Reason,
    event: Annotated[list[str] | None, typer.Option(help="An event of theirs that no table here names")] = None,
    actor: Actor = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Remove a person's rows from what is stored; the log keeps that it was done, and why.

    Reused steps and the copies beside runs hold rows too: they are removed as a whole, after their events of this
    person were looked up. The next run makes them anew, from a source that should not hold the person any more.
    """
    registry = registry_of(use_case, store, actor)
    ids = {*(event or ()), *_events_of(work / "steps", entity, key)}
    done = forget_rows(registry, entity=entity, key=key, reason=reason, event_ids=ids)
    copies = [work / "steps", *sorted((work / "runs").glob("*/*.parquet"))]
    for path in filter(Path.exists, copies):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        out.print(f"removed {path}")
    out.print(f"removed {done.rows} rows of {len(ids)} events from {done.tables} tables of the store")
    for line in done.not_reached:
        out.print(f"[yellow]not reached[/] {line}")


def _events_of(steps: Path, entity: str, key: str) -> set[str]:
    """The ids of an entity's events in the tables that runs left on this machine."""
    found: set[str] = set()
    for path in steps.rglob("events.parquet"):
        table = pl.scan_parquet(path)
        if entity in table.collect_schema().names():
            mine = table.filter(pl.col(entity) == key).select("event_id").collect()
            found |= set(mine.get_column("event_id").to_list())
    return found


def init(use_case: UseCaseFile, store: Store = None) -> None:
    """Make the store that the settings name: a folder, or a bucket with versioning."""
    from sluice.storage.bucket import init_store

    settings = load(use_case, store=store)
    made = init_store(settings.storage)
    out.print(f"{'made' if made else 'there already:'} {settings.storage.url}")
