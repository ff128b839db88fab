"""What follows from the last windows: nothing, an alert or a training run. Pure: facts in, a ruling out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sluice.settings.watch import Rules

WEEK = timedelta(days=7)
Cause = Literal["data-fault", "violated"]


@dataclass(frozen=True)
class Window:
    """A recorded window. `violated`: which of `drift` and `performance`; `faults`: columns that look broken."""

    end: datetime
    violated: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Action:
    """What was done before: an alert or a training run, why, and the instant that the monitor looked from."""

    kind: Literal["alerted", "retraining"]
    cause: Cause
    at: datetime


@dataclass(frozen=True)
class Ruling:
    """What is to be done now.

    Attributes:
        act: `alerted` or `retraining`; None: nothing.
        cause: why, where there is a cause, also one that nothing is done about.
        windows: the violated or broken windows that it rests on.
        held: why there is no training run, or not even an alert, though there is a cause; else empty.
    """

    act: Literal["alerted", "retraining"] | None = None
    cause: Cause | None = None
    windows: tuple[Window, ...] = ()
    held: str = ""


def rule(
    windows: Sequence[Window],
    before: Sequence[Action],
    settings: Rules,
    *,
    length: timedelta,
    at: datetime,
    stopped: str | None = None,
) -> Ruling:
    """The ruling on the latest window.

    Args:
        windows: of one version, in any order; one that is missing counts as not violated.
        before: earlier actions, in any order.
        length: of a window.
        at: now, as the monitor takes it.
        stopped: why nothing may be trained (a frozen or pinned model), in words.
    """
    if not windows:
        return Ruling()
    latest = max(windows, key=lambda one: one.end)
    last = [one for one in windows if one.end > latest.end - settings.of * length]
    if latest.faults:
        return _told(Ruling("alerted", "data-fault", (latest,), _FAULT), before, settings, at)
    bad = tuple(sorted((one for one in last if _counts(one, settings)), key=lambda one: one.end))
    if latest not in bad or len(bad) < settings.violated:
        return Ruling()
    held = stopped or _held(last, before, settings, at)
    if held is None:
        return Ruling("retraining", "violated", bad)
    return _told(Ruling("alerted", "violated", bad, held), before, settings, at)


_FAULT = "a broken column is to be mended at its sender: training would learn the fault"


def _counts(window: Window, settings: Rules) -> bool:
    return bool(window.violated & set(settings.on)) and not window.faults


def _held(last: Sequence[Window], before: Sequence[Action], settings: Rules, at: datetime) -> str | None:
    """Why there is no training run; None: there is one."""
    if any(one.faults for one in last):
        return "a column was broken in one of the last windows: training would learn the fault"
    if settings.runs_a_week == 0:
        return "watch.rules.runs_a_week is 0"
    runs = [one.at for one in before if one.kind == "retraining"]
    near = [run for run in runs if abs(at - run) < settings.cool_down]
    if near:
        return f"the last run is of {max(near):%Y-%m-%d %H:%M}: it cools down for {_days(settings.cool_down)}"
    if sum(abs(at - run) < WEEK for run in runs) >= settings.runs_a_week:
        return f"the week's budget of automatic runs ({settings.runs_a_week}) is spent"
    return None


def _told(ruling: Ruling, before: Sequence[Action], settings: Rules, at: datetime) -> Ruling:
    """An alert, unless one for the same cause was given a short while ago."""
    told = [one.at for one in before if one.kind == "alerted" and one.cause == ruling.cause]
    if any(abs(at - one) < settings.cool_down for one in told):
        return Ruling(None, ruling.cause, ruling.windows, f"told already; {ruling.held}")
    return ruling


def _days(length: timedelta) -> str:
    return f"{length / timedelta(days=1):g} days"
