"""What a log says: the champion, what waits for approval, what is pinned or frozen. And which moves are legal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sluice.errors import RegistryError
from sluice.registry.decision import BY_PEOPLE, KINDS, Decision


@dataclass(frozen=True)
class State:
    """The log, replayed.

    Attributes:
        live: versions that were live, oldest first; the last one is the champion.
        awaiting: versions that passed the gate against this champion and wait for a person.
        withdrawn: versions that were taken back; they return by approval only.
        pinned, frozen: the decision that stops promotion, if one does.
    """

    live: tuple[str, ...] = ()
    awaiting: Mapping[str, Decision] = field(default_factory=dict)
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


def replay(log: Iterable[Decision]) -> State:
    """The state after all decisions of a log.

    Raises:
        RegistryError: the log holds an illegal move.
    """
    state = State()
    for decision in log:
        state = advance(state, decision)
    return state


def advance(state: State, decision: Decision) -> State:
    """The state after one more decision.

    Raises:
        RegistryError: the move is illegal, or a person gives no reason.
    """
    if decision.kind not in KINDS:
        raise RegistryError(f"unknown kind of decision: {decision.kind}", f"kinds are {', '.join(KINDS)}")
    if decision.kind in BY_PEOPLE and not decision.reason.strip():
        raise RegistryError(f"{decision.kind} needs a reason", "say why, with --reason")
    move = _MOVES.get(decision.kind)
    return state if move is None else move(state, decision)


def _promoted(state: State, decision: Decision) -> State:
    version = _named(decision)
    obstacle = state.obstacle(version)
    if obstacle:
        raise RegistryError(f"{_short(version)} cannot be promoted: {obstacle}", _advice(state))
    return replace(state, live=(*state.live, version), awaiting={})


def _awaits(state: State, decision: Decision) -> State:
    version = _named(decision)
    if version == state.champion:
        raise RegistryError(f"{_short(version)} is the champion already", "nothing is to be approved")
    return replace(state, awaiting={**state.awaiting, version: decision})


def _approved(state: State, decision: Decision) -> State:
    version = _named(decision)
    if version not in state.awaiting:
        raise RegistryError(
            f"{_short(version)} does not await approval",
            "it never passed the gate, or the champion changed since: run the gate again",
        )
    obstacle = state.obstacle(version, approved=True)
    if obstacle:
        raise RegistryError(f"{_short(version)} cannot be approved: {obstacle}", _advice(state))
    withdrawn = state.withdrawn - {version}
    return replace(state, live=(*state.live, version), awaiting={}, withdrawn=withdrawn)


def _refused(state: State, decision: Decision) -> State:
    awaiting = {version: entry for version, entry in state.awaiting.items() if version != decision.version}
    return replace(state, awaiting=awaiting)


def _rolled_back(state: State, decision: Decision) -> State:
    version = _named(decision)
    if state.pinned is not None:
        raise RegistryError(f"{decision.model} is pinned: {state.pinned.reason}", "unpin it first")
    earlier = state.live[:-1]
    if version not in earlier:
        raise RegistryError(
            f"{_short(version)} was not live before the champion", "`sluice why` lists the versions that were"
        )
    keep = len(earlier) - earlier[::-1].index(version)
    taken_back = frozenset(state.live[keep:]) - {version}
    withdrawn = (state.withdrawn | taken_back) - {version}
    return replace(state, live=state.live[:keep], awaiting={}, withdrawn=withdrawn)


def _pinned(state: State, decision: Decision) -> State:
    if _named(decision) != state.champion:
        raise RegistryError(f"{_short(decision.version)} is not the champion", "roll back to it first, then pin it")
    if state.pinned is not None:
        raise RegistryError(f"{decision.model} is pinned already: {state.pinned.reason}", "unpin it first")
    return replace(state, pinned=decision)


def _unpinned(state: State, decision: Decision) -> State:
    if state.pinned is None:
        raise RegistryError(f"{decision.model} is not pinned", "there is nothing to unpin")
    return replace(state, pinned=None)


def _frozen(state: State, decision: Decision) -> State:
    if state.frozen is not None:
        raise RegistryError(f"{decision.model} is frozen already: {state.frozen.reason}", "unfreeze it first")
    return replace(state, frozen=decision)


def _unfrozen(state: State, decision: Decision) -> State:
    if state.frozen is None:
        raise RegistryError(f"{decision.model} is not frozen", "there is nothing to unfreeze")
    return replace(state, frozen=None)


def _named(decision: Decision) -> str:
    if not decision.version:
        raise RegistryError(f"{decision.kind} has to name a version", "pass the version's digest")
    return decision.version


def _short(version: str | None) -> str:
    return f"version {version[:12]}" if version else "no version"


def _advice(state: State) -> str:
    if state.frozen is not None:
        return "unfreeze it with `sluice unfreeze --reason …`"
    if state.pinned is not None:
        return "unpin it with `sluice unpin --reason …`"
    return "see `sluice why`"


_MOVES: dict[str, Callable[[State, Decision], State]] = {
    "promoted": _promoted,
    "awaiting-approval": _awaits,
    "approved": _approved,
    "refused": _refused,
    "rolled-back": _rolled_back,
    "pinned": _pinned,
    "unpinned": _unpinned,
    "frozen": _frozen,
    "unfrozen": _unfrozen,
}
