"""The application: all verbs, and the one place where errors become messages."""

from __future__ import annotations

import sys

import typer

from sluice.errors import SluiceError
from sluice_cli import data, gate, models, new, people, pipeline, store
from sluice_cli.console import errors

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Raw events in, gated models out. Every verb takes --help.",
)
for group in (pipeline, new, data, models, gate, people, store):
    group.add_to(app)


def main() -> None:
    """Run the command. An error that a user can meet ends with its message and status 1, never a traceback."""
    try:
        app()
    except SluiceError as error:
        errors.print(f"[bold red]error[/] {_escaped(error.message)}")
        if error.hint:
            errors.print(f"[dim]→[/] {_escaped(error.hint)}")
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("stopped; finished steps are kept and reused")
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0].startswith("sluice"):
            raise
        errors.print(f"[bold red]error[/] {error.name} is not installed: pip install 'sluice\\[core]'")
        sys.exit(1)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
