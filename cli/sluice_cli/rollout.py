"""`sluice rollout | rollback`: who has the traffic, here or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer

from sluice.errors import ConflictError, SettingsError, SluiceError
from sluice.registry import Registry
from sluice.rollout import Controller, Keeper, Observer, Outcome, Shown, Traffic
from sluice.settings import UseCase
from sluice_cli.console import errors, out
from sluice_cli.options import WORK, Actor, Overlay, Reason, Store, UseCaseFile, Work, load
from sluice_cli.people import Version, registry_for, tell
from sluice_cli.traffic import cluster_traffic, labelled_answers, local_traffic
from sluice_serving.cluster import ClusterError

KEEPER = "rollout"
"""Who decides in the log where nobody sits at the keyboard."""


class Watched(Traffic, Protocol):
    """A way to move traffic that also says what is to be watched."""

    def observer(self) -> Observer:
        """Where counts come from."""


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command()(rollout)
    app.command()(rollback)


def rollout(
    use_case: UseCaseFile,
    version: Annotated[str | None, typer.Argument(help="Digest of a cleared version; default: the latest")] = None,
    overlay: Overlay = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where clients call; 0: any free port")] = 0,
    online: Annotated[Path | None, typer.Option(help="Folder of the embedded online store")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="On a cluster: go on for ever, with what is cleared and what people decide")
    ] = False,
    alive: Annotated[Path | None, typer.Option(help="With --keep: a file to touch, for a liveness probe")] = None,
    store: Store = None,
    work: Work = WORK,
) -> None:
    """Roll a version that passed the gate out to the requests that come, where `rollout.where` says.

    A rollout that was killed goes on at its step. `sluice freeze` stops it, from anywhere. On this machine the
    endpoint goes on until Ctrl-C; on a cluster the command ends with the rollout, or with --keep never.
    """
    settings = load(use_case, overlay, store=store)
    if settings.rollout.where != "local":
        _on_cluster(settings, version, keep, alive)
        return
    if keep:
        raise SettingsError(str(use_case), ["rollout.where: --keep is for a cluster, not for local"])
    registry = registry_for(settings)
    with local_traffic(settings, registry, work, online or work / "online" / settings.name, port) as traffic:
        champion = registry.champion()
        if champion is not None:
            traffic.promote(champion.digest)
        out.print(f"{settings.name} answers at {traffic.endpoint}; the steps wait for requests")
        lead(settings, registry, traffic, version)
        if traffic.dropped():
            out.print(f"{traffic.dropped():,} copies were not sent: too many waited for the shadow")
        out.print("the endpoint goes on; Ctrl-C ends it")
        while True:
            time.sleep(3600)


def rollback(
    use_case: UseCaseFile,
    version: Version = None,
    overlay: Overlay = None,
    *,
    reason: Reason,
    actor: Actor = None,
    store: Store = None,
) -> None:
    """Make an earlier live version the champion again; without VERSION the one before. On a cluster it has the traffic
    when this ends, where the cluster can be reached from here."""
    settings = load(use_case, overlay, store=store)
    registry = registry_for(settings, actor)
    tell(registry.rollback(version, reason=reason))
    if settings.rollout.where == "local":
        return
    try:
        controller_for(settings, registry, cluster_traffic(settings)).settle()
    except ClusterError as error:
        errors.print(f"{error.message}: the rollout's own pod moves the traffic", markup=False)
    else:
        out.print("it has all the traffic")


def lead(settings: UseCase, registry: Registry, traffic: Watched, version: str | None = None) -> Outcome:
    """Roll out with a line a step."""
    ended = controller_for(settings, registry, traffic).roll_out(version)
    _tell(ended)
    return ended


def controller_for(
    settings: UseCase, registry: Registry, traffic: Watched, sleep: Callable[[float], None] = time.sleep
) -> Controller:
    """The controller over these, in real time, with a line a step."""
    return Controller(
        registry,
        traffic,
        traffic.observer(),
        settings.rollout,
        clock=lambda: datetime.now(UTC),
        sleep=sleep,
        labelled=labelled_answers(settings, registry),
        show=_Lines(),
    )


def _on_cluster(settings: UseCase, version: str | None, keep: bool, alive: Path | None) -> None:
    sleep = _Breathing(alive)
    traffic = cluster_traffic(settings, sleep)
    if not keep:
        lead(settings, registry_for(settings), traffic, version)
        return
    registry = registry_for(settings, KEEPER)
    keeper = Keeper(registry, controller_for(settings, registry, traffic, sleep), settings.rollout)
    said = ""
    while True:
        said = _turn(keeper, said)
        sleep(settings.rollout.look_every.total_seconds())


def _turn(keeper: Keeper, said: str) -> str:
    """One turn; an error is said once for as long as it lasts. What is wrong now may be mended meanwhile."""
    try:
        ended = keeper.turn()
    except ConflictError as error:
        now = error.message
    except SluiceError as error:
        now = str(error)
    else:
        if ended is not None:
            _tell(ended)
        return ""
    if now != said:
        errors.print(now, markup=False)
    return now


def _tell(ended: Outcome) -> None:
    style = "green" if ended.kind == "promoted" else "red"
    out.print(f"[bold {style}]{ended.kind}[/] {ended.version[:12]}: {ended.decision.reason}")


class _Breathing:
    """Sleeps, and touches a file each time: who sleeps in short pieces is alive."""

    def __init__(self, alive: Path | None) -> None:
        self._alive = alive

    def __call__(self, seconds: float) -> None:
        if self._alive is not None:
            self._alive.touch()
        time.sleep(seconds)


class _Lines:
    """A line a step, when it begins; and why labels cannot be read, once for as long as it lasts."""

    def __init__(self) -> None:
        self._step, self._trouble = "", ""

    def __call__(self, shown: Shown) -> None:
        if shown.step.words() != self._step:
            self._step = shown.step.words()
            out.print(f"  {self._step}, {len(shown.looks)} tests at every look")
        if shown.trouble not in ("", self._trouble):
            errors.print(f"labels are not compared: {shown.trouble}", markup=False)
        self._trouble = shown.trouble
        for look in shown.looks:
            if look.violated:
                out.print(f"      [red]{look.words()}[/]")
                break
