"""`sluice exporter`: what the monitor recorded, as metrics."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice_cli.options import Overlay, Store, UseCaseFile


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(exporter)


def exporter(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one")] = 0,
    store: Store = None,
) -> None:
    """Serve the monitor's last window and the log as Prometheus metrics until Ctrl-C; see docs/alerts.md."""
    from sluice_serving.exporter.__main__ import main

    words = [str(use_case), "--port", str(port), *(["--store", store] if store else [])]
    words += [word for path in overlay or () for word in ("--overlay", str(path))]
    raise typer.Exit(main(words))
