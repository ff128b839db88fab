"""`sluice runs | verify | copy | gc | forget | init`: what the store holds."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from sluice.errors import DataError, StoreError
from sluice.ledger import forget_events
from sluice.registry import Keys, Run, RunLog, collect_garbage
from sluice.registry import forget as forget_rows
from sluice.registry import verify as verify_store
from sluice.storage import open_store
from sluice.storage.copying import copy_store
from sluice_cli.console import out
from sluice_cli.options import WORK, Actor, Overlay, Reason, Store, UseCaseFile, Work, load
from sluice_cli.people import registry_for
from sluice_serving.environment import storage_from


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (runs, verify, copy, gc, forget, init):
        app.command()(verb)


def runs(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    compare: Annotated[list[str] | None, typer.Option(help="Run to compare; give it twice or more")] = None,
    store: Store = None,
) -> None:
    """List all runs, or compare some."""
    settings = load(use_case, overlay, store=store)
    log = RunLog(open_store(settings.storage), settings.name, clock=lambda: datetime.now(UTC))
    found = [] if compare else log.list()
    if not compare and not found:
        out.print(f"no runs of {settings.name} yet: sluice run {use_case}")
        return
    out.print(_comparison(log, compare) if compare else _list(found))


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


def verify(use_case: UseCaseFile, overlay: Overlay = None, store: Store = None) -> None:
    """Check every digest, signature and link of a whole store; exit status 1 when anything is wrong."""
    settings = load(use_case, overlay, store=store)
    keys = Path(settings.storage.keys)
    found = verify_store(open_store(settings.storage), Keys.open(keys) if keys.exists() else None)
    for problem in found.problems:
        out.print(f"[red]✗[/] {problem.where}: {problem.what}")
    checked = ", ".join(f"{count} {what}" for what, count in found.checked.items())
    out.print(f"{'[green]✓[/] sound' if found.sound else f'{len(found.problems)} problems'}: looked at {checked}")
    if not found.sound:
        raise typer.Exit(1)


def copy(
    use_case: UseCaseFile,
    to: Annotated[Path, typer.Option(help="Overlay with the storage of the copy")],
    overlay: Overlay = None,
    store: Store = None,
) -> None:
    """Copy a store into another, for a backup or back from one; again: only what is missing there.

    The copy's storage comes from --to alone. Both are reached with the same credentials.
    """
    source, target = load(use_case, overlay, store=store).storage, load(use_case, [to]).storage
    if (source.url, source.endpoint) == (target.url, target.endpoint):
        raise StoreError(f"{source.url} would be copied into itself", f"name another storage in {to}")
    done = copy_store(open_store(source), open_store(target))
    out.print(f"copied {done['copied']} objects from {source.url} to {target.url}; {done['there']} were there already")


def gc(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go")] = False,
    older_than_days: Annotated[float, typer.Option(min=0, help="Younger objects stay")] = 1.0,
    store: Store = None,
) -> None:
    """Remove what no decision and no run refers to."""
    settings = load(use_case, overlay, store=store)
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
    overlay: Overlay = None,
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
    settings = load(use_case, overlay, store=store)
    known = settings.data.columns.entities
    if entity not in known:
        raise DataError(f"{settings.name} has no entity {entity!r}: nothing was removed", f"it has {', '.join(known)}")
    registry = registry_for(settings, actor)
    ids = {*(event or ()), *_events_of(work / "steps", entity, key)}
    done = forget_rows(registry, entity=entity, key=key, reason=reason, event_ids=ids)
    answered = forget_events(registry.store, registry.model, ids, now=datetime.now(UTC))
    copies = [work / "steps", *sorted((work / "runs").glob("*/*.parquet"))]
    for path in filter(Path.exists, copies):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        out.print(f"removed {path}")
    out.print(f"removed {done.rows} rows of {len(ids)} events from {done.tables} tables of the store")
    out.print(f"removed {answered} rows from the payload ledger")
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


def init(
    use_case: Annotated[Path | None, typer.Argument(metavar="USE_CASE", help="Default: SLUICE_STORE_URL …")] = None,
    roles: Annotated[
        Path | None, typer.Option(help="Make MinIO's users; a folder with a folder of keys a role")
    ] = None,
    policies: Annotated[Path | None, typer.Option(help="Write each role's policy into this folder")] = None,
    pipelines: Annotated[str, typer.Option(help="Kubeflow's pipeline root: its prefix in the bucket")] = "pipelines",
    source: Annotated[list[str] | None, typer.Option(help="Raw data, s3://…; default: raw/ in the bucket")] = None,
    rollout_labels: Annotated[
        bool, typer.Option("--rollout-labels", help="The rollout reads ledger and labels, as rollout.labels asks")
    ] = False,
    overlay: Overlay = None,
    store: Store = None,
) -> None:
    """Make the store: a folder, or a bucket with versions and object lock; with --roles also its users."""
    from sluice.storage.bucket import init_store
    from sluice.storage.roles import Places, roles_with
    from sluice.storage.users import ensure_credentials, make_users, write_policies

    case = load(use_case, overlay, store=store) if use_case else None
    storage = case.storage if case else storage_from(os.environ)
    rights = roles_with(rollout_labels=rollout_labels or (case is not None and case.rollout.labels.enabled))
    places = Places.of(storage.url, pipelines, tuple(source or ())) if roles or policies else None
    if places and policies:
        for path in write_policies(policies, places, rights):
            out.print(f"wrote {path}")
        if not roles:
            return
    made = init_store(storage)
    out.print(f"{'made' if made else 'there already:'} {storage.url}")
    if places and roles:
        users = ensure_credentials(roles)
        make_users(storage, places, users, roles=rights)
        out.print(f"made the users of {', '.join(users)}")
