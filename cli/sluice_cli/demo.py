"""`sluice demo`: the whole loop on simulated card transactions, without a cluster."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sluice.settings import UseCase, read_use_case
from sluice_cli.console import out, run_progress
from sluice_cli.options import WORK, Work
from sluice_cli.people import registry_for
from sluice_cli.results import show, show_replay

USE_CASE = Path("use_cases/fraud.yaml")
A_MONTH_AGO = "2018-09-02T00:00:00Z"


def demo(
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier demos: start from nothing")] = False,
    seed: Annotated[int | None, typer.Option(help="Other random numbers in training")] = None,
    world: Annotated[int | None, typer.Option(help="Another simulated world")] = None,
    work: Work = WORK,
) -> None:
    """Raw card transactions to a gated model behind an endpoint that scores the next day's transactions."""
    if fresh:
        shutil.rmtree(work, ignore_errors=True)
    stage = Stage(work, world or read_use_case(USE_CASE).seed, seed)
    _simulate(stage)
    use_case = stage.use_case()
    if registry_for(use_case).state().champion is None:
        out.rule("[bold]1  A first champion[/]: what was known a month ago, no more than a logistic regression")
        _run(_modest(stage.use_case(A_MONTH_AGO)), stage)
    out.rule("[bold]2  The challenger[/]: today's data, all candidates")
    _run(use_case, stage)
    out.rule("[bold]3  The endpoint[/]: the champion scores the next day's transactions")
    _serve_next_day(use_case, stage)
    _farewell(work)


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
    def online(self) -> Path:
        """The embedded online store: one a world."""
        return self.work / "online" / self.name

    def use_case(self, today: str | None = None) -> UseCase:
        """The use case as it is on a day; without one, on the day that the file names."""
        places = {
            "data.source": str(self.data),
            "data.end": today,
            "storage.url": str(self.work / "store"),
            "storage.keys": str(self.work / "keys"),
        }
        return read_use_case(USE_CASE, {"seed": self.seed, **places})


def _modest(use_case: UseCase) -> UseCase:
    simple = [c for c in use_case.training.candidates if c.kind in ("constant", "logistic")]
    return use_case.model_copy(update={"training": use_case.training.model_copy(update={"candidates": simple})})


def _simulate(stage: Stage) -> None:
    from sluice.simulate import World, write_raw

    world = World()
    what = f"{world.days} days of {world.cards:,} cards at {world.terminals:,} terminals"
    if not stage.data.exists():
        with out.status(f"simulating {what}"):
            write_raw(world, stage.world, stage.data)
    out.print(f"simulated transactions: {what} in {stage.data}")


def _run(use_case: UseCase, stage: Stage) -> None:
    from sluice_pipelines.local import new_run_id, run_locally

    with run_progress() as listen:
        finished = run_locally(use_case, run_id=new_run_id(), work=stage.work, online=stage.online, listen=listen)
    show(finished.folder)


def _serve_next_day(use_case: UseCase, stage: Stage) -> None:
    from sluice_cli.next_day import replay_next_day

    with run_progress() as listen:
        replayed = replay_next_day(use_case, stage.work, stage.online, listen.work("replay"))
    show_replay(replayed)


def _farewell(work: Path) -> None:
    out.rule("What to look at next")
    runs = sorted((work / "runs").iterdir())
    out.print(f"the report         {runs[-1] / 'report.html'}")
    out.print(f"the model card     {runs[-1] / 'card.html'}")
    out.print(f"why it is live     .venv/bin/sluice why {USE_CASE}")
    out.print(f"serve it yourself  .venv/bin/sluice serve {USE_CASE}")
    out.print("once more          make demo (nothing new: not promoted), make demo SEED=8, make demo FRESH=1")
