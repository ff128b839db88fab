"""The verb: look, show, and say by the exit status whether something needed is missing."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from sluice_cli.console import out
from sluice_cli.doctor.finding import Findings
from sluice_cli.options import WORK, Overlay, Store, UseCaseFile, Work, load

COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(doctor)


def doctor(
    use_case: UseCaseFile,
    overlay: Overlay = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at the cluster of the current context, too")] = False,
    namespace: Annotated[str, typer.Option(help="Where Sluice's objects are or will be")] = "sluice",
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig; default: the current one")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON")] = False,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Say what is there and what is missing, with what to do; exit status 1 when something needed is missing."""
    from sluice_cli.doctor.machine import look_at_machine
    from sluice_cli.doctor.places import look_at_places

    settings, findings = load(use_case, overlay, store=store), Findings()
    look_at_machine(findings, work)
    # From here the addresses of a cluster's inside cannot be reached: its own parts are asked about there.
    look_at_places(findings, settings)
    if cluster:
        from sluice_cli.doctor.cluster import look_at_cluster

        look_at_cluster(findings, settings, namespace, context)
    _show(findings, as_json)
    if findings.missing:
        raise typer.Exit(1)


def _show(findings: Findings, as_json: bool) -> None:
    if as_json:
        print(json.dumps(findings.document(), indent=2))
        return
    table = Table("", "what", "found", "what to do")
    for each in findings.made:
        told = (_plain(text) for text in (each.what, each.found, each.advice))
        table.add_row(f"[{COLOURS[each.state]}]{each.state}[/]", *told)
    out.print(table)
    out.print(f"{findings.missing} missing" if findings.missing else "[green]nothing needed is missing[/]")


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
