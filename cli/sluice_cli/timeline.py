"""`sluice timeline`: what happened to a model over some weeks, on one page."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.errors import SettingsError
from sluice.settings import UseCase
from sluice.settings.base import read_instant
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, Overlay, Store, UseCaseFile, Work, load

if TYPE_CHECKING:
    from sluice.report.timeline import TimelineFiles
    from sluice.report.timeline_marks import Mark


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(timeline)


def timeline(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    since: Annotated[str | None, typer.Option(help="Events from this instant on; default: 28 days before --at")] = None,
    at: Annotated[str | None, typer.Option(help="Seen from this instant, 2018-11-22T01:00:00Z; default: now")] = None,
    mark: Annotated[
        list[str] | None, typer.Option(metavar="INSTANT=WORDS", help="Something to mark; may be given several times")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of timeline.html, .svg and .json")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the picture here too")] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """What the versions were worth as labels arrived, what moved, what the monitor did, and what came of it."""
    settings = load(use_case, overlay, store=store)
    until = datetime.now(UTC) if at is None else read_instant(at, "--at")
    begin = until - timedelta(days=28) if since is None else read_instant(since, "--since")
    target = folder or work / "timeline" / settings.name
    files = write(settings, target, since=begin, at=until, given=[_mark(text) for text in mark or ()])
    if picture is not None:
        shutil.copyfile(files.picture, picture)
    out.print(f"report {files.report}")


def write(
    settings: UseCase, folder: Path, *, since: datetime, at: datetime, given: Sequence[Mark], about: Sequence[str] = ()
) -> TimelineFiles:
    """Read the timeline and write its files into a folder; arguments as in `sluice.report.timeline`."""
    from sluice.report.timeline import marks_of, write_timeline_files
    from sluice.watch.timeline import read_timeline
    from sluice_cli.people import registry_for

    now = datetime.now(UTC)
    with run_progress() as listen:
        found = read_timeline(
            registry_for(settings), settings, since=since, at=at, now=now, progress=listen.work("timeline")
        )
    return write_timeline_files(found, marks_of(found, given), folder, about=about, written=now)


def _mark(text: str) -> Mark:
    from sluice.report.timeline_marks import Mark

    when, _, words = text.partition("=")
    if not words:
        raise SettingsError("--mark", [f"{text}: expected INSTANT=WORDS"])
    return Mark(read_instant(when, "--mark"), "world", words.strip())
