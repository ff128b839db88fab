"""`sluice demo`: the whole loop on simulated card transactions, without a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.errors import DataError
from sluice.settings import UseCase, read_use_case
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, Work
from sluice_cli.people import registry_for
from sluice_cli.results import show, show_replay

if TYPE_CHECKING:
    from sluice_cli.weeks import Weeks

USE_CASE = Path("use_cases/fraud.yaml")
WEEKS = Path("use_cases/overlays/fraud-weeks.yaml")
"""Settings laid over the file's while the weeks after the first day are lived."""
A_MONTH_AGO = "2018-09-02T00:00:00Z"
QUICK_ROLLOUT = {
    "rollout.steps": [10, 50],
    "rollout.min_requests": 300,
    "rollout.look_every": "500ms",
    "rollout.max_duration": "5m",
}
"""The demo's rollout takes seconds; the file's own takes its time."""


def demo(
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier demos: start from nothing")] = False,
    seed: Annotated[int | None, typer.Option(help="Other random numbers in training")] = None,
    world: Annotated[int | None, typer.Option(help="Another simulated world")] = None,
    weeks: Annotated[bool, typer.Option(help="Go on for weeks, once: prices rise, and what follows")] = True,
    work: Work = WORK,
) -> None:
    """Raw card transactions to a gated model behind an endpoint that scores the next day's transactions."""
    if not USE_CASE.exists():
        raise DataError(f"there is no {USE_CASE} here", "the demo runs in the folder of Sluice's repository")
    if fresh:
        _forget(work)
    stage = Stage(work, world or read_use_case(USE_CASE).seed, seed)
    _simulate(stage)
    use_case = _as_of_today(stage)
    if registry_for(use_case).state().champion is None:
        out.rule("[bold]1  A first champion[/]: what was known a month ago, no more than a logistic regression")
        _run(_only(stage.use_case(A_MONTH_AGO), ("constant", "logistic")), stage)
    out.rule("[bold]2  The challenger[/]: today's data, all candidates")
    _run(use_case, stage)
    if registry_for(use_case).state().cleared:
        out.rule("[bold]3  The rollout[/]: the challenger beside the champion, under the next day's transactions")
        _roll_out(use_case, stage)
    out.rule("[bold]4  The endpoint[/]: the champion scores the next day's transactions")
    _serve_next_day(use_case, stage)
    if weeks:
        _live_weeks(stage)
    _farewell(stage)


def _forget(work: Path) -> None:
    """Remove what earlier demos left, and nothing that is not theirs."""
    if not work.exists():
        return
    theirs = work.is_dir() and any((work / name).is_dir() for name in ("data", "store", "runs"))
    if not theirs or Path.cwd().is_relative_to(work.absolute()):
        raise DataError(f"{work} is no folder that a demo made: nothing was removed", "give the demo's own with --work")
    shutil.rmtree(work)


@dataclass(frozen=True)
class Stage:
    """Where a demo happens: in the places of the use case file, so that its other commands find what is there."""

    work: Path
    world: int
    seed: int | None

    @property
    def name(self) -> str:
        """The world's name: the use case's own, or with a number beside it."""
        return "fraud" if self.world == read_use_case(USE_CASE).seed else f"fraud-{self.world}"

    @property
    def data(self) -> Path:
        """The raw table."""
        return self.work / "data" / self.name

    @property
    def timeline(self) -> Path:
        """Folder of the page about the weeks."""
        return self.work / "timeline" / self.name

    @property
    def online(self) -> Path:
        """The embedded online store: one a world."""
        return self.work / "online" / self.name

    def use_case(self, today: str | None = None) -> UseCase:
        """The use case as it is on a day; without one, on the day that the file names."""
        return read_use_case(USE_CASE, {**self._places(self.data), "data.end": today, **QUICK_ROLLOUT})

    def weeks(self) -> UseCase:
        """The use case as it is while the weeks are lived; to save time, without the network."""
        settings = read_use_case(USE_CASE, self._places(self.data.with_name(f"{self.name}-weeks")), [WEEKS])
        return _only(settings, ("constant", "logistic", "trees"))

    def _places(self, source: Path) -> dict[str, Any]:
        store = {"storage.url": str(self.work / "store"), "storage.keys": str(self.work / "keys")}
        return {"seed": self.seed, "data.source": str(source), **store}


def _only(use_case: UseCase, kinds: Collection[str]) -> UseCase:
    """The use case with candidates of some kinds alone."""
    kept = [candidate for candidate in use_case.training.candidates if candidate.kind in kinds]
    return use_case.model_copy(update={"training": use_case.training.model_copy(update={"candidates": kept})})


def _simulate(stage: Stage) -> None:
    from sluice_cli.demo_world import KNOWN, Story, write_world

    world = Story().world()
    what = f"{KNOWN} days of {world.cards:,} cards at {world.terminals:,} terminals"
    if not stage.data.exists():
        with out.status(f"simulating {what}, and the weeks after them"):
            write_world(Story(), stage.world, stage.data)
    out.print(f"simulated transactions: {what} in {stage.data}")


def _run(use_case: UseCase, stage: Stage) -> None:
    from sluice_cli.scaling import run_or_ask
    from sluice_pipelines.local import LocalRun, new_run_id, run_locally

    def once(use_case: UseCase, _again: bool) -> LocalRun:
        with run_progress() as listen:
            return run_locally(use_case, run_id=new_run_id(), work=stage.work, online=stage.online, listen=listen)

    show(run_or_ask(use_case, once).folder)


def _roll_out(use_case: UseCase, stage: Stage) -> None:
    from sluice_cli.demo_rollout import roll_out_twice

    roll_out_twice(use_case, stage.work, stage.online)


def _serve_next_day(use_case: UseCase, stage: Stage) -> None:
    from sluice.report.alerts import write_alerts_page
    from sluice_cli.explain import show as show_explained
    from sluice_cli.next_day import replay_next_day

    with run_progress() as listen:
        found = replay_next_day(use_case, stage.work, stage.online, listen.work("replay"))
    show_replay(found.replayed)
    if found.unexplained:
        out.print(f"the day's top alerts are not explained: {found.unexplained}", markup=False)
        return
    out.print("[bold]the day's top alerts, and why[/]")
    for one in found.alerts:
        show_explained(one)
    page = write_alerts_page(
        found.alerts,
        stage.work / "explanations",
        model=use_case.name,
        version=found.version,
        source="the next day",
        written=datetime.now(UTC),
    )
    out.print(f"report {page}")


def _as_of_today(stage: Stage) -> UseCase:
    """The use case as it is today; once the weeks are over, as it was when they trained anew."""
    from sluice.watch.acting import retraining_settings

    runs = [one for one in registry_for(stage.use_case()).log() if one.kind == "retraining"]
    if not runs or not _weeks(stage).over:
        return stage.use_case()
    out.print("[dim]the weeks of an earlier demo are over: today is the day on which they trained anew[/]")
    return retraining_settings(stage.weeks(), datetime.fromisoformat(str(runs[-1].figures["at"])), given=True)


def _weeks(stage: Stage) -> Weeks:
    from sluice_cli.demo_world import Story
    from sluice_cli.weeks import Weeks

    return Weeks(Story(), stage.weeks(), stage.data, stage.online, stage.work, stage.world)


def _live_weeks(stage: Stage) -> None:
    from sluice_cli.weeks import live_weeks, write_page

    weeks = _weeks(stage)
    if weeks.over:
        return
    out.rule(f"[bold]5  The next {weeks.story.days} days[/]: prices rise, and what follows from it")
    live_weeks(weeks)
    write_page(weeks, stage.timeline)


def _farewell(stage: Stage) -> None:
    out.rule("What to look at next")
    first = sorted((stage.work / "runs").iterdir())[-1]
    page = stage.timeline / "timeline.html"
    out.print(f"the weeks          {page if page.exists() else 'make demo: some more minutes'}")
    out.print(f"the report         {first / 'report.html'}")
    out.print(f"the model card     {first / 'card.html'}")
    out.print(f"why it is live     .venv/bin/sluice why {USE_CASE}")
    out.print(f"serve it yourself  .venv/bin/sluice serve {USE_CASE}")
    out.print("once more          make demo (nothing new: not promoted), make demo SEED=8, make demo FRESH=1")
