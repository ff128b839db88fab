"""Hyper-parameters by Optuna over the settings' ranges, scored on validation, the same for the same seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna

from sluice.errors import TrainingError
from sluice.settings.training import Candidate, Choice, FloatRange, IntRange, Range
from sluice.training.problem import Fit

Train = Callable[[dict[str, Any]], tuple[Fit, float]]
"""Parameters to a fit and its validation metric."""


@dataclass(frozen=True)
class Chosen:
    """The best trial: its parameters and fit; all trials as they are told in candidate.json (None: no search)."""

    params: dict[str, Any]
    fit: Fit
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
    """The best of the fixed parameters (always the first trial) and those that TPE proposes.

    A trial that cannot be trained counts as failed; the first one may not. A timeout ends the search after the trial
    that it met, so only the number of trials makes two searches equal.

    Raises:
        TrainingError: the fixed parameters cannot be trained.
    """
    fixed = dict(candidate.params)
    fit, value = train(fixed)
    if candidate.search is None:
        return Chosen(fixed, fit, None)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = {name: _distribution(span) for name, span in candidate.search.ranges.items()}
    study = optuna.create_study(
        direction="maximize" if higher else "minimize", sampler=optuna.samplers.TPESampler(seed=seed)
    )
    given = {name: fixed[name] for name in ranges if name in fixed}
    if len(given) == len(ranges):
        study.add_trial(optuna.trial.create_trial(params=given, distributions=ranges, value=value))
    chosen, best = Chosen(fixed, fit, None), value
    trials: list[dict[str, Any]] = [{"number": 0, "params": given, "validation": value}]
    ends = clock() + (candidate.search.timeout_seconds or math.inf)
    while len(trials) < candidate.search.trials and clock() < ends:
        trial = study.ask(ranges)
        told = {"number": len(trials), "params": dict(trial.params)}
        try:
            fit, value = train(fixed | trial.params)
        except TrainingError as error:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            trials.append(told | {"validation": None, "failed": error.message.splitlines()[0]})
            continue
        study.tell(trial, value)
        trials.append(told | {"validation": value})
        if better(value, best):
            chosen, best = Chosen(fixed | trial.params, fit, None), value
    return Chosen(chosen.params, chosen.fit, trials)


def _distribution(span: Range) -> optuna.distributions.BaseDistribution:
    if isinstance(span, IntRange):
        return optuna.distributions.IntDistribution(span.low, span.high, log=span.log)
    if isinstance(span, FloatRange):
        return optuna.distributions.FloatDistribution(span.low, span.high, log=span.log)
    assert isinstance(span, Choice)
    return optuna.distributions.CategoricalDistribution(span.values)
