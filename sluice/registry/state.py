"""What a log says: the champion, what waits for approval or is being rolled out, what is pinned or frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.errors import RegistryError
from sluice.registry.decision import Decision


@dataclass(frozen=True)
class State:
    """The log, replayed.

    Attributes:
        live: versions that were live, oldest first; the last one is the champion.
        awaiting: versions that passed the gate against this champion and wait for a person.
        cleared: versions that passed the gate against this champion and may be rolled out, latest last.
        rollout: the latest step of the rollout that is under way.
        withdrawn: versions that were taken back; they return by approval only.
        pinned, frozen: the decision that stops promotion, if one does.
    """

    live: tuple[str, ...] = ()
    awaiting: Mapping[str, Decision] = field(default_factory=dict)
    cleared: tuple[str, ...] = ()
    rollout: Decision | None = None
    withdrawn: frozenset[str] = frozenset()
    pinned: Decision | None = None
    frozen: Decision | None = None

    @property
    def champion(self) -> str | None:
        """Digest of the live version."""
        return self.live[-1] if self.live else None

    def obstacle(self, version: str, *, approved: bool = False) -> str | None:
        """Why this version cannot be promoted now, in words; None when nothing is in the way."""
        if version == self.champion:
            return "it is the champion already"
        for decision in (self.frozen, self.pinned):
            if decision is not None:
                since = f"{decision.time:%Y-%m-%d %H:%M}"
                return f"{decision.model} is {decision.kind} since {since} by {decision.actor}: {decision.reason}"
        if version in self.withdrawn and not approved:
            return "it was rolled back before; a person has to approve its return"
        return None


def named(decision: Decision) -> str:
    """The version that a decision is about; a RegistryError without one."""
    if not decision.version:
        raise RegistryError(f"{decision.kind} has to name a version", "pass the version's digest")
    return decision.version


def short(version: str | None) -> str:
    """A version in a sentence."""
    return f"version {version[:12]}" if version else "no version"


def advice(state: State) -> str:
    """What to do about an obstacle."""
    if state.frozen is not None:
        return "unfreeze it with `sluice unfreeze --reason …`"
    if state.pinned is not None:
        return "unpin it with `sluice unpin --reason …`"
    return "see `sluice why`"
