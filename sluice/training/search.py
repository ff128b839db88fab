"""Hyper-parameters by Optuna over the settings' ranges, scored on validation, the same for the same seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna

from sluice import digests
from sluice.errors import TrainingError
from sluice.settings.training import Candidate, Choice, FloatRange, IntRange, Range
from sluice.training.problem import Fit

Train = Callable[[dict[str, Any]], tuple[Fit, float]]
"""Parameters to a fit and its validation metric."""


@dataclass(frozen=True)
class Chosen:
    """The best trial: its parameters and fit; all trials as they are told in candidate.json (None: no search).

    `fit` is None where none of a task's trials could be trained: another task has the fixed parameters.
    """

    params: dict[str, Any]
    fit: Fit | None
    trials: list[dict[str, Any]] | None


def search(
    candidate: Candidate,
    train: Train,
    *,
    better: Callable[[float, float | None], bool],
    higher: bool,
    seed: int,
    clock: Callable[[], float] = time.monotonic,
) -> Chosen:
    """The best of the fixed parameters (always the first trial) and those that are proposed.

    With `search.tasks` a trial follows from its number, and `search.task` has this process run its share of them.

    A trial that cannot be trained counts as failed; the first one may not. A timeout ends the search after the trial
    that it met, so only the number of trials makes two searches equal.

    Raises:
        TrainingError: the fixed parameters cannot be trained.
    """
    fixed, settings = dict(candidate.params), candidate.search
    if settings is None:
        return Chosen(fixed, train(fixed)[0], None)
    ranges = {name: _distribution(span) for name, span in settings.ranges.items()}
    given = {name: fixed[name] for name in ranges if name in fixed}
    proposer: _Tpe | _ByNumber = _ByNumber(ranges, seed) if settings.tasks else _Tpe(ranges, seed, higher)
    course = _Course(train, better, fixed)
    ends = clock() + (settings.timeout_seconds or math.inf)
    for number in range(settings.task or 0, settings.trials, settings.tasks if settings.task is not None else 1):
        if number == 0:
            proposer.tell(given, course.run(0, given))
        elif clock() < ends:
            params = proposer.ask(number)
            proposer.tell(params, course.run(number, params))
    return Chosen(course.params, course.fit, course.trials)


class _Course:
    """The trials so far, and the best of them."""

    def __init__(self, train: Train, better: Callable[[float, float | None], bool], fixed: dict[str, Any]) -> None:
        self._train, self._better, self._fixed = train, better, fixed
        self.params, self.trials = fixed, list[dict[str, Any]]()
        self.fit: Fit | None = None
        self._best: float | None = None

    def run(self, number: int, params: dict[str, Any]) -> float | None:
        """A trial's validation metric; None where it cannot be trained, which the first may not."""
        told = {"number": number, "params": params}
        try:
            fit, value = self._train(self._fixed | params)
        except TrainingError as error:
            if number == 0:
                raise
            self.trials.append(told | {"validation": None, "failed": error.message.splitlines()[0]})
            return None
        self.trials.append(told | {"validation": value})
        if self._better(value, self._best):
            self.params, self.fit, self._best = self._fixed | params, fit, value
        return value


class _Tpe:
    """Each trial is proposed by what those before it gave (Optuna's TPE)."""

    def __init__(self, ranges: dict[str, optuna.distributions.BaseDistribution], seed: int, higher: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed)
        self._study = optuna.create_study(direction="maximize" if higher else "minimize", sampler=sampler)
        self._ranges = ranges
        self._asked: optuna.trial.Trial | None = None

    def ask(self, number: int) -> dict[str, Any]:  # noqa: ARG002 (the study counts by itself)
        self._asked = self._study.ask(self._ranges)
        return dict(self._asked.params)

    def tell(self, params: dict[str, Any], value: float | None) -> None:
        if self._asked is None:
            if len(params) == len(self._ranges):
                self._study.add_trial(optuna.trial.create_trial(params=params, distributions=self._ranges, value=value))
        elif value is None:
            self._study.tell(self._asked, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(self._asked, value)


class _ByNumber:
    """A trial follows from the seed and its number alone, so that it does not matter who runs the others."""

    def __init__(self, ranges: dict[str, optuna.distributions.BaseDistribution], seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges, self._seed = ranges, seed

    def ask(self, number: int) -> dict[str, Any]:
        sampler = optuna.samplers.RandomSampler(seed=digests.seed_of(self._seed, number) % 2**32)
        return dict(optuna.create_study(sampler=sampler).ask(self._ranges).params)

    def tell(self, params: dict[str, Any], value: float | None) -> None:
        """Nothing is learnt from it."""


def _distribution(span: Range) -> optuna.distributions.BaseDistribution:
    if isinstance(span, IntRange):
        return optuna.distributions.IntDistribution(span.low, span.high, log=span.log)
    if isinstance(span, FloatRange):
        return optuna.distributions.FloatDistribution(span.low, span.high, log=span.log)
    assert isinstance(span, Choice)
    return optuna.distributions.CategoricalDistribution(span.values)
