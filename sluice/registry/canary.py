"""The moves of a rollout: cleared by the gate, traffic step by step, then promoted or taken back."""

from __future__ import annotations

from dataclasses import replace

from sluice.errors import RegistryError
from sluice.registry.decision import Decision
from sluice.registry.state import State, advice, named, short


def cleared(state: State, decision: Decision) -> State:
    """It passed the gate against this champion."""
    version = named(decision)
    obstacle = state.obstacle(version)
    if obstacle:
        raise RegistryError(f"{short(version)} cannot be rolled out: {obstacle}", advice(state))
    return may_be_rolled_out(state, version)


def shifted(state: State, decision: Decision) -> State:
    """It gets the share of traffic that the decision names; the first such decision begins the rollout."""
    version = named(decision)
    if state.champion is None:
        raise RegistryError(
            f"{decision.model} has no champion to compare with", "the first version is promoted at once"
        )
    obstacle = state.obstacle(version)
    if obstacle:
        raise RegistryError(f"{short(version)} gets no traffic: {obstacle}", advice(state))
    if version not in state.cleared:
        raise RegistryError(
            f"{short(version)} is not cleared for a rollout",
            "it never passed the gate, or the champion changed since: run the gate again",
        )
    if state.rollout is not None and state.rollout.version != version:
        raise RegistryError(
            f"{short(state.rollout.version)} is being rolled out since {state.rollout.time:%Y-%m-%d %H:%M}",
            "one at a time: wait for its end, or `sluice freeze` it",
        )
    return replace(state, rollout=decision)


def taken_back(state: State, decision: Decision) -> State:
    """It has no traffic any more. Evidence against it leaves it to people; a stop from outside lets it try again."""
    version = named(decision)
    if state.rollout is None or state.rollout.version != version:
        raise RegistryError(f"{short(version)} is not being rolled out", "see `sluice why`")
    if decision.figures.get("cause") != "evidence":
        return replace(state, rollout=None)
    return replace(
        state,
        rollout=None,
        cleared=without(state.cleared, version),
        awaiting={**state.awaiting, version: decision},
        withdrawn=state.withdrawn | {version},
    )


def may_be_rolled_out(state: State, version: str) -> State:
    """Cleared, as the latest one."""
    return replace(state, cleared=(*without(state.cleared, version), version))


def without(versions: tuple[str, ...], version: str | None) -> tuple[str, ...]:
    """The others, in their order."""
    return tuple(other for other in versions if other != version)
