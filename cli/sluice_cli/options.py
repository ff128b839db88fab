"""Arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice.settings import UseCase, read_use_case

UseCaseFile = Annotated[Path, typer.Argument(metavar="USE_CASE", help="A use case file, such as use_cases/fraud.yaml")]
Source = Annotated[str | None, typer.Option(help="Where the events are, instead of data.source")]
End = Annotated[str | None, typer.Option(help="Leave out events from this instant on, instead of data.end")]
Seed = Annotated[int | None, typer.Option(help="The seed, instead of the file's")]
Store = Annotated[str | None, typer.Option("--store", help="The store, instead of storage.url")]
Overlay = Annotated[list[Path] | None, typer.Option("--overlay", metavar="FILE", help="Settings laid over the file's")]
Work = Annotated[Path, typer.Option(help="Folder for runs, reused steps and the embedded online store")]
Reason = Annotated[str, typer.Option(help="Why; it goes into the decision log")]
Actor = Annotated[str | None, typer.Option(help="Who decides; default: the user's name")]

WORK = Path(".sluice")


def load(
    path: Path,
    overlay: Sequence[Path] | None = None,
    *,
    source: str | None = None,
    end: str | None = None,
    seed: int | None = None,
    store: str | None = None,
) -> UseCase:
    """The use case with overlays and then the flags laid over it."""
    overrides: dict[str, Any] = {"data.source": source, "data.end": end, "seed": seed, "storage.url": store}
    return read_use_case(path, overrides, overlay or ())
