"""The application: all verbs, and the one place where errors become messages."""

from __future__ import annotations

import sys

import typer

from sluice.errors import SluiceError
from sluice_cli import (
    data,
    doctor,
    drift,
    explain,
    exporter,
    gate,
    kubeflow,
    models,
    monitor,
    new,
    payloads,
    people,
    pipeline,
    rollout,
    store,
    timeline,
    updating,
)
from sluice_cli.console import errors

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Raw events in, gated models out. Every verb takes --help.",
)
for group in (
    pipeline,
    kubeflow,
    new,
    data,
    models,
    gate,
    people,
    rollout,
    updating,
    payloads,
    drift,
    explain,
    monitor,
    exporter,
    timeline,
    store,
    doctor,
):
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
    except OSError as error:
        # A path that was given, or a full disk; anything without a path is a fault of ours, and wants its traceback.
        if error.filename is None:
            raise
        errors.print(f"[bold red]error[/] {_escaped(f'{error.filename}: {error.strerror}')}")
        errors.print("[dim]→[/] check the path, who may write there, and the space that is left")
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
