"""`sluice gate selftest`: does the gate refuse what is broken?"""

from __future__ import annotations

import json

import typer

from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, End, Overlay, Source, UseCaseFile, Work, load


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    group = typer.Typer(no_args_is_help=True, help="The gate itself.")
    group.command()(selftest)
    group.callback()(_gate)
    app.add_typer(group, name="gate")


def _gate() -> None:
    """The gate itself."""


def selftest(
    use_case: UseCaseFile, overlay: Overlay = None, source: Source = None, end: End = None, work: Work = WORK
) -> None:
    """Break the challenger in a dozen ways, and show by which check the gate refuses each.

    The challenger is made as `sluice run` makes it (steps that have not changed are reused); the seal is one of its
    own, cut from validation rows: the sealed test is not touched.
    """
    from sluice.gate.selftest import SelfTest
    from sluice_pipelines.local import new_run_id, run_locally

    settings = load(use_case, overlay, source=source, end=end)
    with run_progress() as listen:
        run = run_locally(settings, run_id=new_run_id(), pipeline="selftest", work=work, listen=listen)
    out.print(SelfTest.from_document(json.loads((run.folder / "selftest.json").read_text())).table())
    if run.decision != "passed":
        raise typer.Exit(1)
