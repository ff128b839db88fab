"""A training that does not fit the card: the question which way to scale, put where a person is there to answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from rich.prompt import Prompt

from sluice.errors import PipelineError
from sluice.settings import UseCase
from sluice_cli.console import out

Finished = TypeVar("Finished")


def run_or_ask(use_case: UseCase, run: Callable[[UseCase, bool], Finished]) -> Finished:
    """Run; where the memory plan stops a step and a terminal is there, ask for a way and run again with it.

    Args:
        run: told whether it is the second time or later: finished steps are then to be reused.

    Raises:
        PipelineError: a step failed otherwise, or nobody is there.
    """
    again = False
    while True:
        try:
            return run(use_case, again)
        except PipelineError as error:
            if not error.ways or not _someone_is_there():
                raise
            out.print(error.message, markup=False)
            way = Prompt.ask("Which way", choices=list(error.ways), console=out)
            out.print(f"going on with training.memory.over_budget: {way}")
            use_case, again = _with_way(use_case, way), True


def _someone_is_there() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _with_way(use_case: UseCase, way: str) -> UseCase:
    training = use_case.training
    memory = training.memory.model_copy(update={"over_budget": way})
    return use_case.model_copy(update={"training": training.model_copy(update={"memory": memory})})
