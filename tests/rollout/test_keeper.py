"""An endpoint is kept as the log says, whoever writes to the log, and whoever was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import ConflictError, RegistryError
from sluice.registry import Registry
from sluice.rollout import Controller, Keeper
from sluice.settings.rollout import Rollout
from tests.rollout.simulated import Behaviour, World
from tests.rollout.test_controller import led, stage

POLICY = Rollout(enabled=True, steps=[50], min_requests=100)


def keeper(world: World, registry: Registry, policy: Rollout = POLICY) -> tuple[Keeper, Controller]:
    """The keeper of production in that world, and who leads for it."""
    controller = led(world, registry, policy)
    return Keeper(registry, controller, policy), controller


def test_what_is_cleared_is_rolled_out_and_then_kept(tmp_path: Path) -> None:
    world, registry, _, new = stage(tmp_path)
    kept, _ = keeper(world, registry)
    ended = kept.turn()
    assert ended is not None
    assert ended.kind == "promoted"
    assert kept.turn() is None
    assert world.weights() == {new: 100}


def test_without_a_champion_it_says_so(tmp_path: Path) -> None:
    world, registry, _, _ = stage(tmp_path)
    empty = Registry(registry.store, "other", clock=world.clock, actor="tester")
    with pytest.raises(RegistryError, match="other has no champion"):
        keeper(world, empty)[0].turn()
    assert world.weights() == {}


def test_a_champion_by_hand_gets_the_traffic_at_the_next_turn(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path)
    kept, _ = keeper(world, registry)
    kept.turn()
    registry.rollback(reason="complaints")
    kept.turn()
    assert world.weights() == {old: 100}
    assert new in registry.state().withdrawn


@pytest.mark.parametrize(("later", "left"), [(60.0, 2), (7200.0, 1)])
def test_the_one_before_stays_ready_for_as_long_as_the_settings_say(tmp_path: Path, later: float, left: int) -> None:
    world, registry, old, new = stage(tmp_path)
    kept, _ = keeper(world, registry, Rollout(enabled=True, steps=[50], min_requests=100, keep_previous="1h"))
    kept.turn()
    assert world.weights() == {old: 0, new: 100}
    world.sleep(later)
    kept.turn()
    assert len(world.weights()) == left


def test_switched_off_what_the_gate_promotes_has_the_traffic_and_what_is_cleared_waits(tmp_path: Path) -> None:
    world, registry, old, _ = stage(tmp_path)
    keeper(world, registry, Rollout(enabled=False))[0].turn()
    assert world.weights() == {old: 100}


def test_one_that_was_stopped_waits_for_a_person(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path)
    world.unready = frozenset({new})
    kept, _ = keeper(world, registry)
    ended = kept.turn()
    assert ended is not None
    assert ended.kind == "stopped"
    entries = len(registry.log())
    assert kept.turn() is None
    assert len(registry.log()) == entries
    assert world.weights() == {old: 100}
    registry.freeze(reason="a try")
    registry.unfreeze(reason="and again")
    world.unready = frozenset()
    ended = kept.turn()
    assert ended is not None
    assert ended.kind == "promoted"


def test_frozen_while_nobody_led_it_is_taken_back(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path)
    registry.note("canary", version=new, reason="1 % of the traffic", figures={"step": 0, "percent": 50})
    world.prepared |= {old, new}
    world.set_weights({old: 50, new: 50})
    registry.freeze(reason="the shop is closed")
    kept, _ = keeper(world, registry)
    ended = kept.turn()
    assert ended is not None
    assert (ended.kind, world.weights()) == ("stopped", {old: 100})
    assert "the shop is closed" in ended.decision.reason


def test_while_somebody_else_leads_nothing_is_touched(tmp_path: Path) -> None:
    world, registry, _, _ = stage(tmp_path)
    second, _ = keeper(world, registry)
    met = 0

    def sleep(seconds: float) -> None:
        nonlocal met
        before = dict(world.split)
        with pytest.raises(ConflictError):
            second.turn()
        met += 1
        assert world.split == before
        world.sleep(seconds)

    assert led(world, registry, POLICY, sleep=sleep).roll_out().kind == "promoted"
    assert met


def test_servers_that_vanish_under_traffic_are_evidence(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path, Behaviour())

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        if world.split.get(new):
            world.unseen = frozenset({new})

    ended = led(world, registry, Rollout(steps=[5]), sleep=sleep).roll_out()
    assert (ended.kind, world.split) == ("taken-back", {old: 100})
    assert "not seen any more" in ended.decision.reason
    assert new in registry.state().withdrawn
