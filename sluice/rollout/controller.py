"""Moves a cleared challenger to all traffic step by step, or back: what the evidence says, the log records.

The order makes a kill at any moment safe. A step is in the log before it has traffic; a version taken back has lost its
traffic before the log says so; a promotion is in the log before the weights follow. So `roll_out` called anew finds in
the log where it was, and `settle` gives the traffic to whoever the log calls champion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sluice.errors import ConflictError, RegistryError, SluiceError
from sluice.registry import Decision, Registry, State
from sluice.rollout.counts import Counts, Observer
from sluice.rollout.labels import Arrivals, Labelled
from sluice.rollout.lease import Lease
from sluice.rollout.steps import Step, reached, steps_of
from sluice.rollout.traffic import Traffic
from sluice.rollout.watch import Look, can_tell, compare
from sluice.settings.rollout import Rollout

UNSEEN_LOOKS = 3
"""Looks in a row at which nothing is seen of a challenger, while the champion is seen: then its servers are gone."""
SIGNS_OF_LIFE = 6
"""Looks without a sign of life after which a rollout counts as killed."""


@dataclass(frozen=True)
class Outcome:
    """How it ended: promoted, taken back by the evidence, or stopped from outside."""

    kind: Literal["promoted", "taken-back", "stopped"]
    version: str
    decision: Decision


@dataclass(frozen=True)
class Shown:
    """A look, for who watches: the step, requests to the challenger in it, the tests, and why labels cannot be read."""

    step: Step
    requests: int
    looks: list[Look]
    trouble: str = ""


class _Ended(Exception):  # noqa: N818
    def __init__(self, kind: Literal["taken-back", "stopped"], reason: str, figures: dict[str, Any]) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.figures = kind, reason, figures


class Controller:
    """Rolls a model's cleared versions out.

    Args:
        clock: the time, with a zone.
        sleep: waits that many seconds.
        labelled: where labelled answers come from; None where nothing gives them.
        show: is told of every look.
    """

    def __init__(
        self,
        registry: Registry,
        traffic: Traffic,
        observer: Observer,
        policy: Rollout,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        labelled: Labelled | None = None,
        show: Callable[[Shown], None] = lambda _shown: None,
    ) -> None:
        self._registry, self._traffic, self._observer, self._policy = registry, traffic, observer, policy
        self._clock, self._sleep, self._show = clock, sleep, show
        self._steps = steps_of(policy)
        self._arrivals = Arrivals(labelled if policy.labels.enabled else None, registry, self._steps, policy, clock)
        lasts = max(policy.look_every * SIGNS_OF_LIFE, timedelta(seconds=5))
        self._lease = Lease(registry.store, registry.model, lasts=lasts, clock=clock)

    def roll_out(self, version: str | None = None) -> Outcome:
        """Roll out `version`, or the one cleared last; a rollout that was killed goes on at its step.

        Raises:
            RegistryError: nothing is cleared, or promotion is stopped.
            ConflictError: another rollout of this model is under way, or has taken this one over.
        """
        self._lease.take()
        try:
            state = self._registry.state()
            challenger = _challenger(state, version)
            obstacle = state.obstacle(challenger, approved=True)
            if state.rollout is not None and obstacle is not None:
                # It was stopped while nobody led it.
                return self._back(challenger, _Ended("stopped", obstacle, {"cause": "obstacle"}))
            return self._lead(state, challenger)
        finally:
            self._lease.release()

    def settle(self) -> None:
        """Give all traffic to the champion that the log names, once it is ready."""
        champion = _champion(self._registry.model, self._registry.state())
        self._traffic.prepare(champion)
        self._traffic.set_weights({champion: 100})

    def tidy(self) -> None:
        """Retire what nobody needs: all but the champion and, for a while, the one before, which may have to return.

        Raises:
            ConflictError: a rollout is under way.
        """
        idle = [version for version in self._traffic.weights() if version not in self._wanted()]
        if not idle:
            return
        self._lease.take()
        try:
            for version in idle:
                if version not in self._wanted():
                    self._traffic.retire(version)
        finally:
            self._lease.release()

    def _wanted(self) -> set[str | None]:
        state, log = self._registry.state(), self._registry.log()
        wanted = {state.champion, state.rollout.version if state.rollout is not None else None}
        since = next((entry.time for entry in reversed(log) if entry.version == state.champion), None)
        if len(state.live) > 1 and since is not None and self._clock() - since < self._policy.keep_previous:
            wanted.add(state.live[-2])
        return wanted

    def _lead(self, state: State, challenger: str) -> Outcome:
        champion = _champion(self._registry.model, state)
        first = reached(self._steps, state.rollout.figures) if state.rollout is not None else 0
        try:
            self._prepare(challenger, champion, first)
            for number in range(first, len(self._steps)):
                self._step(challenger, champion, number)
        except _Ended as end:
            return self._back(challenger, end)
        except ConflictError:
            raise
        except SluiceError:
            # Nobody may have traffic that nobody watches.
            self._traffic.set_weights({champion: 100})
            raise
        decision = self._registry.settle(
            "promoted", version=challenger, against=champion, reason=f"rolled out in {len(self._steps)} steps"
        )
        self._traffic.set_weights({challenger: 100})
        if not self._policy.keep_previous:
            self._traffic.retire(champion)
        return Outcome("promoted", challenger, decision)

    def _prepare(self, challenger: str, champion: str, number: int) -> None:
        self._record(challenger, number, "prepared", prepared=True)
        try:
            self._traffic.prepare(champion)
            self._traffic.prepare(challenger)
        except SluiceError as error:
            raise _Ended("stopped", f"it does not get ready: {error.message}", {"cause": "not ready"}) from None

    def _step(self, challenger: str, champion: str, number: int) -> None:
        step = self._steps[number]
        self._record(challenger, number, step.words())
        before = {champion: self._observer.counts(champion), challenger: self._first_seen(challenger)}
        self._traffic.set_weights(step.weights(challenger, champion), step.shadow(challenger))
        end, unseen, ours, theirs = self._clock() + self._policy.max_duration, 0, Counts(), Counts()
        while True:
            self._sleep(self._policy.look_every.total_seconds())
            self._lease.renew()
            self._still_wanted(challenger, champion)
            theirs = self._observer.counts(champion).since(before[champion])
            try:
                ours, unseen = self._observer.counts(challenger).since(before[challenger]), 0
            except SluiceError as error:
                unseen += 1
                _gone_after(unseen, step, error)
            else:
                self._judge(step, ours, theirs, challenger, champion)
                if ours.requests >= step.wanted:
                    return None
            if self._clock() >= end:
                return self._short(step, ours, theirs)

    def _first_seen(self, challenger: str) -> Counts:
        try:
            return self._observer.counts(challenger)
        except SluiceError as error:
            raise _Ended("stopped", f"it does not show itself: {error.message}", {"cause": "not ready"}) from None

    def _judge(self, step: Step, ours: Counts, theirs: Counts, challenger: str, champion: str) -> None:
        labelled = self._arrivals.compared(champion, challenger)
        looks = compare(self._policy, ours, theirs, labelled)
        self._show(Shown(step, ours.requests, looks, self._arrivals.trouble))
        violated = [look for look in looks if look.violated]
        if violated:
            worst = max(violated, key=lambda look: look.least - look.tolerance)
            seen = {"requests": ours.requests, "looks": [asdict(look) for look in violated]}
            said = f"at {step.words()} after {ours.requests} requests: {worst.words()}"
            raise _Ended("taken-back", said, {"cause": "evidence", "percent": step.percent, **seen})

    def _short(self, step: Step, ours: Counts, theirs: Counts) -> None:
        if self._policy.when_short == "proceed":
            if can_tell(self._policy, ours.requests, theirs):
                return
            wanted = "no test could have told a bad version by these"
        else:
            wanted = f"{step.wanted} are wanted"
        said = f"only {ours.requests} requests at {step.words()} in {self._policy.max_duration}: {wanted}"
        raise _Ended("stopped", said, {"cause": "time", "requests": ours.requests})

    def _still_wanted(self, challenger: str, champion: str) -> None:
        state = self._registry.state()
        if state.champion != champion or state.rollout is None or state.rollout.version != challenger:
            raise _Ended("stopped", "the champion changed", {"cause": "champion"})
        obstacle = state.obstacle(challenger, approved=True)
        if obstacle is not None:
            raise _Ended("stopped", obstacle, {"cause": "obstacle"})

    def _back(self, challenger: str, end: _Ended) -> Outcome:
        self.settle()
        state = self._registry.state()
        if state.rollout is not None and state.rollout.version == challenger:
            decision = self._registry.note("taken-back", version=challenger, reason=end.reason, figures=end.figures)
        else:
            decision = self._registry.log()[-1]
        if state.champion != challenger:
            self._traffic.retire(challenger)
        return Outcome(end.kind, challenger, decision)

    def _record(self, challenger: str, number: int, reason: str, **more: Any) -> None:
        figures = self._steps[number].figures(number) | more
        self._registry.note("canary", version=challenger, reason=reason, figures=figures)


def _gone_after(unseen: int, step: Step, error: SluiceError) -> None:
    if unseen >= UNSEEN_LOOKS:
        figures = {"cause": "evidence", "percent": step.percent, "looks": []}
        raise _Ended("taken-back", f"at {step.words()} it is not seen any more: {error.message}", figures) from None


def _champion(model: str, state: State) -> str:
    if state.champion is None:
        raise RegistryError(f"{model} has no champion", "run `sluice run` first")
    return state.champion


def _challenger(state: State, version: str | None) -> str:
    if state.rollout is not None and version in (None, state.rollout.version):
        return str(state.rollout.version)
    wanted = version or (state.cleared[-1] if state.cleared else None)
    if wanted is None or wanted not in state.cleared:
        known = ", ".join(one[:12] for one in state.cleared) or "none"
        raise RegistryError(f"which version? Cleared for a rollout: {known}", "run the gate, or name one of these")
    return wanted
