"""`sluice explain` and `sluice explainer`: why is a score what it is?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sluice.errors import WatchError
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, Overlay, Store, UseCaseFile, Work, load

if TYPE_CHECKING:
    import polars as pl

    from sluice.settings import UseCase
    from sluice.watch.explanations import Explained
    from sluice_cli.endpoint import Fetched

Endpoint = Annotated[
    str | None, typer.Option(help="http://host:port of the champion's server; default: one is started")
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (explain, explainer):
        app.command()(verb)


def explain(
    use_case: UseCaseFile,
    source: Annotated[str, typer.Argument(help="Feature rows, raw events, or a .json file as :predict takes it")],
    overlay: Overlay = None,
    event: Annotated[
        list[str] | None, typer.Option(help="Id of an event to explain; may be given several times")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Without --event: this many, the highest scores first")] = 3,
    history: Annotated[Path | None, typer.Option(help="Folder with events and labels before (`sluice ingest`)")] = None,
    endpoint: Endpoint = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of explanations.html and explanations.json")
    ] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Print the top reasons of scores in words: `explanations` in the settings says how, and what it may cost."""
    from sluice.report.alerts import write_alerts_page
    from sluice.watch.explanations import explain_rows
    from sluice.watch.reference import read_reference
    from sluice_cli.endpoint import fetch_champion
    from sluice_cli.people import registry_for

    settings = load(use_case, overlay, store=store)
    with run_progress() as listen:
        progress = listen.work("explain")
        fetched = fetch_champion(settings, work)
        servable, reference = fetched.servable(), read_reference(registry_for(settings), fetched.digest)
        asked = Path(source).read_bytes() if source.endswith(".json") else _rows(fetched, source, event, top, history)
        with _predictor(settings, fetched, endpoint, work) as address:
            found = explain_rows(servable, reference, settings.explanations, asked, address, progress=progress)
    for one in found:
        show(one)
    now = datetime.now(UTC)
    target = folder or work / "explanations" / now.strftime("%Y%m%d-%H%M%S")
    said = {"model": settings.name, "version": fetched.digest}
    page = write_alerts_page(found, target, source=Path(source).name, written=now, **said)
    rows = [one.document for one in found]
    (target / "explanations.json").write_text(json.dumps({**said, "explanations": rows}, indent=1))
    out.print(f"report {page}")


def explainer(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    endpoint: Endpoint = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one")] = 0,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Answer KServe's V1 `:explain` for the champion on this machine until Ctrl-C; see docs/explanations.md."""
    from sluice.watch.explanations import running_explainer, write_explainer
    from sluice.watch.reference import read_reference
    from sluice_cli.endpoint import fetch_champion
    from sluice_cli.people import registry_for

    settings = load(use_case, overlay, store=store)
    fetched = fetch_champion(settings, work)
    servable, reference = fetched.servable(), read_reference(registry_for(settings), fetched.digest)
    folder = write_explainer(servable, reference, settings.explanations, work / "explainer" / fetched.digest)
    with (
        _predictor(settings, fetched, endpoint, work) as predictor,
        running_explainer(folder, predictor, port=port) as address,
    ):
        out.print(f"version {fetched.digest[:12]} of {settings.name} is explained at {address}, asking {predictor}")
        out.print(f"  POST {address}/v1/models/{settings.name}:explain     metrics: {address}/metrics")
        while True:
            time.sleep(3600)


def show(one: Explained) -> None:
    """Print one explanation: the event, its score, and why."""
    from sluice.report.alerts import headline, reasons_of

    out.print(Text.assemble((one.event_id, "bold"), "  ", headline(one)))
    for reason in reasons_of(one):
        out.print(Text(f"  {reason}"))


@contextmanager
def _predictor(settings: UseCase, fetched: Fetched, endpoint: str | None, work: Path) -> Iterator[str]:
    """The address of a server of the champion: the one that is named, or one while the block lasts."""
    from sluice_cli.endpoint import running

    if endpoint is not None:
        yield endpoint
        return
    with running(fetched, work / "online" / settings.name, 0, settings.data.pseudonym_key) as started:
        yield started.address


def _rows(fetched: Fetched, source: str, events: list[str] | None, top: int, history: Path | None) -> pl.DataFrame:
    """The feature rows of the named events, or of those with the highest scores; a row without an id has its number."""
    import polars as pl

    from sluice.watch.window import window_rows

    rows = window_rows(fetched.servable(), source, now=datetime.now(UTC), history=history)
    if "event_id" not in rows.columns:
        rows = rows.with_row_index("event_id").with_columns(pl.col("event_id").cast(pl.String))
    if not events:
        return rows.top_k(top, by="score").sort("score", "event_id", descending=[True, False])
    found = rows.filter(pl.col("event_id").is_in(events))
    missing = sorted(set(events) - set(found.get_column("event_id")))
    if missing:
        raise WatchError(f"{source} has no event {', '.join(missing)}", "ids are those of data.columns.event_id")
    return found
