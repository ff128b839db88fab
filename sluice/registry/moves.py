"""Which moves a log may make, and what each of them changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from sluice.errors import RegistryError
from sluice.registry.canary import cleared, may_be_rolled_out, shifted, taken_back, without
from sluice.registry.decision import BY_PEOPLE, KINDS, Decision
from sluice.registry.state import State, advice, named, short


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


def _made_live(state: State, live: tuple[str, ...]) -> State:
    """With another champion: what waited for approval or a rollout was judged against the one before."""
    return replace(state, live=live, awaiting={}, cleared=(), rollout=None)


def _promoted(state: State, decision: Decision) -> State:
    version = named(decision)
    obstacle = state.obstacle(version)
    if obstacle:
        raise RegistryError(f"{short(version)} cannot be promoted: {obstacle}", advice(state))
    return _made_live(state, (*state.live, version))


def _awaits(state: State, decision: Decision) -> State:
    version = named(decision)
    if version == state.champion:
        raise RegistryError(f"{short(version)} is the champion already", "nothing is to be approved")
    return replace(state, awaiting={**state.awaiting, version: decision})


def _approved(state: State, decision: Decision) -> State:
    version = named(decision)
    if version not in state.awaiting:
        raise RegistryError(
            f"{short(version)} does not await approval",
            "it never passed the gate, or the champion changed since: run the gate again",
        )
    obstacle = state.obstacle(version, approved=True)
    if obstacle:
        raise RegistryError(f"{short(version)} cannot be approved: {obstacle}", advice(state))
    withdrawn = state.withdrawn - {version}
    if decision.figures.get("rollout"):
        awaiting = {other: entry for other, entry in state.awaiting.items() if other != version}
        return may_be_rolled_out(replace(state, awaiting=awaiting, withdrawn=withdrawn), version)
    return _made_live(replace(state, withdrawn=withdrawn), (*state.live, version))


def _refused(state: State, decision: Decision) -> State:
    awaiting = {version: entry for version, entry in state.awaiting.items() if version != decision.version}
    return replace(state, awaiting=awaiting, cleared=without(state.cleared, decision.version))


def _rolled_back(state: State, decision: Decision) -> State:
    version = named(decision)
    if state.pinned is not None:
        raise RegistryError(f"{decision.model} is pinned: {state.pinned.reason}", "unpin it first")
    earlier = state.live[:-1]
    if version not in earlier:
        raise RegistryError(
            f"{short(version)} was not live before the champion", "`sluice why` lists the versions that were"
        )
    keep = len(earlier) - earlier[::-1].index(version)
    taken_back = frozenset(state.live[keep:]) - {version}
    withdrawn = (state.withdrawn | taken_back) - {version}
    return _made_live(replace(state, withdrawn=withdrawn), state.live[:keep])


def _pinned(state: State, decision: Decision) -> State:
    if named(decision) != state.champion:
        raise RegistryError(f"{short(decision.version)} is not the champion", "roll back to it first, then pin it")
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


_MOVES: dict[str, Callable[[State, Decision], State]] = {
    "promoted": _promoted,
    "awaiting-approval": _awaits,
    "approved": _approved,
    "refused": _refused,
    "cleared": cleared,
    "canary": shifted,
    "taken-back": taken_back,
    "rolled-back": _rolled_back,
    "pinned": _pinned,
    "unpinned": _unpinned,
    "frozen": _frozen,
    "unfrozen": _unfrozen,
}
