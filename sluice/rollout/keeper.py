"""Keeps an endpoint as the log says: the champion has the traffic, what is cleared is rolled out, the rest goes."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.registry import Decision, Registry, State
from sluice.rollout.controller import Controller, Outcome
from sluice.settings.rollout import Rollout

_ANEW = ("unfrozen", "unpinned")


class Keeper:
    """One turn after another, for as long as somebody calls; killed at any moment, the next one goes on."""

    def __init__(self, registry: Registry, controller: Controller, policy: Rollout) -> None:
        self._registry, self._controller, self._policy = registry, controller, policy

    def turn(self) -> Outcome | None:
        """Lead the rollout that is due to its end; without one see to the champion.

        Raises:
            RegistryError: there is no champion yet.
            ConflictError: somebody else leads a rollout.
            SluiceError: the store, or what moves the traffic, does not answer, or the champion does not get ready.
        """
        state = self._registry.state()
        if self._policy.enabled and (state.rollout is not None or self._due(state)):
            return self._controller.roll_out()
        self._controller.settle()
        self._controller.tidy()
        return None

    def _due(self, state: State) -> bool:
        if not state.cleared or state.obstacle(state.cleared[-1]) is not None:
            return False
        return is_due(self._registry.log(), state.cleared[-1])


def is_due(log: Sequence[Decision], version: str) -> bool:
    """Whether a cleared version was cleared, approved or set free since it was stopped last.

    One that was stopped for want of requests, or because it did not start, is not tried again and again by itself.
    """
    for entry in reversed(log):
        if entry.kind in _ANEW or (entry.kind in ("cleared", "approved") and entry.version == version):
            return True
        if entry.kind == "taken-back" and entry.version == version:
            return False
    return False
