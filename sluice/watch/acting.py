"""From windows to the log: an alert or the start of a training run, once a window, by the rules of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.errors import ConflictError, RegistryError
from sluice.registry import Decision, Registry, RunLog
from sluice.settings import UseCase
from sluice.watch.parts import parts_of
from sluice.watch.records import as_window, days_of, read_windows, window_key
from sluice.watch.rules import Action, Ruling, rule

ATTEMPTS = 20
ATTEMPTS_AT_A_RUN = 3
"""A run that was begun so often and never ended is not begun again."""
KINDS = ("alerted", "retraining")


@dataclass(frozen=True)
class Acted:
    """What follows from the latest window.

    Attributes:
        ruling: of the rules; for a window that was acted on before, nothing new.
        decision: the log's entry, this one's or an earlier one's about the same window.
        run: the training run that is to be started now; None: none.
    """

    ruling: Ruling
    decision: Decision | None
    run: str | None

    @property
    def retrains(self) -> bool:
        """Whether a training run is to be started now."""
        return self.run is not None


def act(registry: Registry, use_case: UseCase, *, at: datetime) -> Acted:
    """Decide on the latest recorded window of the champion, and write the decision into the log.

    Head, log and rules are read anew where somebody else wrote meanwhile. A window that the log has an entry about is
    not decided again. A training run that was decided and never ended (its machine was killed) is named again, and
    before that one ends no other is: not while the model is frozen or pinned.

    Raises:
        RegistryError: nothing is live.
        ConflictError: the log is too busy.
    """
    for _ in range(ATTEMPTS):
        head, log, state = registry.head(), registry.log(), registry.state()
        if state.champion is None:
            raise RegistryError(f"{use_case.name} has no champion", "`sluice run` makes the first one")
        stopped = _stopped(state.frozen or state.pinned)
        runs = [one for one in log if one.kind == "retraining" and one.version == state.champion]
        if stopped is None and runs and (unfinished := _unfinished(registry, runs[-1])):
            return Acted(Ruling(), runs[-1], unfinished)
        windows = read_windows(registry.store, use_case.name, state.champion, until=at)
        if not windows:
            return Acted(Ruling(), None, None)
        if (known := decided_about(log, windows[-1])) is not None:
            return Acted(Ruling(), known, None)
        ruling = _ruling(use_case, windows, log, at, stopped)
        if ruling.act is None:
            return Acted(ruling, None, None)
        try:
            decision = _write(registry, use_case, windows, ruling, at, head, state.champion)
        except ConflictError:
            continue
        return Acted(ruling, decision, decision.figures.get("run"))
    raise ConflictError(f"{use_case.name}'s log is too busy: lost {ATTEMPTS} times", "run again later")


def decided_about(log: Sequence[Decision], window: dict[str, Any]) -> Decision | None:
    """The log's last entry of the monitor's about a recorded window."""
    key = _key(window)
    known = [one for one in log if one.kind in KINDS and one.figures.get("window") == key]
    return known[-1] if known else None


def retraining_settings(use_case: UseCase, at: datetime, *, given: bool) -> UseCase:
    """The use case that a retraining runs: where the file ends the data, or an instant was given, they end there."""
    if use_case.data.end is None and not given:
        return use_case
    return use_case.until(at)


def _ruling(
    use_case: UseCase, windows: list[dict[str, Any]], log: list[Decision], at: datetime, stopped: str | None
) -> Ruling:
    before = [
        Action(one.kind, one.figures["cause"], datetime.fromisoformat(one.figures["at"]))  # type: ignore[arg-type]
        for one in log
        if one.kind in KINDS
    ]
    settings = use_case.watch
    recorded = [as_window(one) for one in windows]
    return rule(recorded, before, settings.rules, length=settings.window, at=at, stopped=stopped)


def _write(
    registry: Registry,
    use_case: UseCase,
    windows: list[dict[str, Any]],
    ruling: Ruling,
    at: datetime,
    head: int,
    version: str,
) -> Decision:
    assert ruling.act is not None
    ends = {one.end for one in ruling.windows}
    named = [one for one in windows if datetime.fromisoformat(one["end"]) in ends]
    figures: dict[str, Any] = {
        "window": _key(windows[-1]),
        "cause": ruling.cause,
        "at": at.isoformat(),
        "windows": [{"key": _key(one), "days": _span(one), "tests": tests_of(one)} for one in named],
    }
    if ruling.act == "retraining":
        figures["run"] = f"monitor-{at:%Y%m%dT%H%M%S}"
    if ruling.held:
        figures["held"] = ruling.held
    return registry.decide(
        ruling.act, version=version, expected_head=head, reason=_reason(ruling, named, use_case), figures=figures
    )


def _reason(ruling: Ruling, named: list[dict[str, Any]], use_case: UseCase) -> str:
    tests = "; ".join(tests_of(named[-1]))
    if ruling.cause == "data-fault":
        return f"data fault in {_span(named[-1])}: {tests}; no training: {ruling.held}"
    count = f"{len(named)} of the last {use_case.watch.rules.of} windows violated, the latest {_span(named[-1])}"
    return f"{count}: {tests}" + (f"; no training: {ruling.held}" if ruling.held else "")


def tests_of(window: dict[str, Any]) -> list[str]:
    """What a window's tests found, a sentence a test that says no."""
    found = [f"column {one['feature']}: {one['fault']}" for one in window["faults"]]
    if "drift" in window["violated"]:
        moved = sorted(
            (part for part in parts_of(window["drift"]) if part["moved"]), key=lambda part: -part["distance"]
        )
        told = ", ".join(f"{p['feature']} {p['distance']:.2f} (usual up to {p['usual']:.2f})" for p in moved[:3])
        found.append(f"drift in {told}" + (f" and {len(moved) - 3} more" if len(moved) > 3 else ""))
    if "performance" in window["violated"]:
        one = window["performance"]
        name = str(one["metric"]).replace("_", " ")
        found.append(
            f"{name} {one['measured']['estimate']:.3f} on days {one['first']} to {one['through']}, "
            f"promised {one['promised']['estimate']:.3f}: worse by {one['drop']['low']:.3f} at least"
        )
    return found


def _unfinished(registry: Registry, decision: Decision) -> str | None:
    """The run of a decision that never ended; one that failed, or ended in none of a few attempts, is a person's."""
    run = decision.figures.get("run")
    if run is None:
        return None
    runs = RunLog(registry.store, registry.model, clock=lambda: decision.time).list()
    begun = [one for one in runs if of_run(one.id, run)]
    ended = [one for one in begun if one.status != "running"]
    return None if ended or len(begun) >= ATTEMPTS_AT_A_RUN else str(run)


def of_run(run_id: str, started: str) -> bool:
    """Whether a run is the one of this name, or a later attempt at it (`name-2`)."""
    return run_id == started or (run_id.startswith(f"{started}-") and run_id[len(started) + 1 :].isdigit())


def _stopped(decision: Decision | None) -> str | None:
    return None if decision is None else f"{decision.model} is {decision.kind}: {decision.reason}"


def _key(window: dict[str, Any]) -> str:
    return window_key(window["model"], window["version"], datetime.fromisoformat(window["end"]))


def _span(window: dict[str, Any]) -> str:
    first, last = days_of(window)
    return f"{first}" if first == last else f"{first} to {last}"
