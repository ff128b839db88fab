"""A challenger reaches all traffic only while the evidence stays good, whatever happens to who leads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from sluice.errors import ConflictError, RegistryError, StoreError
from sluice.registry import Registry
from sluice.rollout import Controller, Losses, Outcome, Shown
from sluice.rollout.counts import Counts
from sluice.settings.rollout import Rollout
from tests.rollout.simulated import Behaviour, World, registry_in

GOOD = Behaviour()
FAULTS = {
    "errors on 5 % of requests": Behaviour(failing=0.05),
    "five times slower": Behaviour(seconds=0.006),
    "scores have shifted": Behaviour(moved=0.25),
}


class Killed(BaseException):
    """What a kill is to the process that it hits."""


def stage(folder: Path, challenger: Behaviour = GOOD, **told: Any) -> tuple[World, Registry, str, str]:
    """A world in which both versions are known by their digests."""
    probe = World({})
    registry, old, new = registry_in(folder, probe)
    world = World({old: GOOD, new: challenger}, **told)
    registry = Registry(registry.store, "fraud", clock=world.clock, actor="tester")
    return world, registry, old, new


def led(world: World, registry: Registry, policy: Rollout | None = None, **told: Any) -> Controller:
    """The controller of production in that world."""
    told = {"clock": world.clock, "sleep": world.sleep, "labelled": world, **told}
    return Controller(registry, world, world, policy or Rollout(), **told)


def kinds(registry: Registry) -> list[str]:
    """The kinds of the log's entries."""
    return [entry.kind for entry in registry.log()]


def test_a_good_challenger_takes_every_step_and_is_promoted(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path)
    ended = led(world, registry).roll_out()
    assert (ended.kind, ended.version) == ("promoted", new)
    assert registry.state().champion == new
    assert world.split == {new: 100}
    assert old not in world.prepared
    steps = [entry.figures["percent"] for entry in registry.log() if entry.reason.endswith("of the traffic")]
    assert steps == [0.5, 5, 25, 50]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_takes_it_back_with_at_most_a_percent_of_the_requests_hurt(tmp_path: Path, fault: str) -> None:
    for seed in range(5):
        world, registry, old, new = stage(tmp_path / str(seed), FAULTS[fault], seed=seed, rate=50.0)
        ended = led(world, registry).roll_out()
        assert ended.kind == "taken-back"
        assert world.split == {old: 100}
        assert registry.state().champion == old
        assert new in registry.state().withdrawn
        assert ended.decision.figures["looks"]
        hurt = world.counts(new).errors if "errors" in fault else world.sent[new]
        assert hurt / sum(world.sent.values()) <= 0.01


@pytest.mark.parametrize("fault", FAULTS)
def test_in_a_shadow_each_fault_is_seen_and_nobody_is_hurt(tmp_path: Path, fault: str) -> None:
    world, registry, old, new = stage(tmp_path, FAULTS[fault], rate=50.0)
    ended = led(world, registry, Rollout(shadow=100)).roll_out()
    assert ended.kind == "taken-back"
    assert "at a copy of 100 % of the requests" in ended.decision.reason
    assert new not in world.sent
    assert (world.split, world.copied) == ({old: 100}, None)


def test_a_good_one_is_copied_to_first_and_the_log_names_the_step(tmp_path: Path) -> None:
    world, registry, _, _new = stage(tmp_path)
    ended = led(world, registry, Rollout(shadow=50, steps=[5, 50])).roll_out()
    assert ended.kind == "promoted"
    assert world.copied is None
    said = [entry.reason for entry in registry.log() if entry.kind == "canary"]
    assert said == ["prepared", "a copy of 50 % of the requests", "5 % of the traffic", "50 % of the traffic"]
    assert "3 steps" in ended.decision.reason


def test_worse_labels_take_it_back_in_a_later_step_than_the_answers_were_given_in(tmp_path: Path) -> None:
    world, registry, _, new = stage(tmp_path, Behaviour(loss=0.012), rate=2000.0, label_delay=600.0)
    policy = Rollout(steps=[20, 50], min_requests=200_000, max_duration="1d", labels={"enabled": True, "every": "1m"})
    ended = led(world, registry, policy).roll_out()
    assert ended.kind == "taken-back"
    assert "at 50 % of the traffic" in ended.decision.reason
    assert "loss on labelled answers (20 % of the traffic)" in ended.decision.reason
    assert new in registry.state().withdrawn


def test_without_labels_or_with_a_source_that_cannot_be_read_the_rest_decides(tmp_path: Path) -> None:
    class Unreadable:
        def losses(self, *_: object) -> list[tuple[Losses, Losses]]:
            raise StoreError("the ledger does not answer", "start it")

    policy = Rollout(labels={"enabled": True})
    for name, told in (("late", {}), ("unreadable", {"labelled": Unreadable()})):
        world, registry, _, _ = stage(tmp_path / name, Behaviour(loss=1.0), label_delay=1e6)
        shown: list[Shown] = []
        assert led(world, registry, policy, show=shown.append, **told).roll_out().kind == "promoted"
        assert not [look for one in shown for look in one.looks if "loss" in look.metric]
        assert {one.trouble for one in shown} == ({"the ledger does not answer"} if told else {""})


def test_a_drifting_world_does_not_take_a_good_challenger_back(tmp_path: Path) -> None:
    """The scores of both versions move far from what the gate saw."""
    world, registry, _, new = stage(tmp_path, drift=0.002)
    assert led(world, registry).roll_out().kind == "promoted"
    assert world.counts(new).levels[0] / world.counts(new).scored > 0.3


@pytest.mark.parametrize("tolerance", ["the settings'", "none"])
def test_equals_are_taken_back_at_most_at_alpha(tmp_path: Path, tolerance: str) -> None:
    """200 rollouts of equal models through the controller of production, from a shadow to labels that come late; alpha
    is split over all that is watched. Without tolerances a request is slow where the champion's is."""
    none = dict.fromkeys(("max_error_increase", "max_slow_increase", "max_score_shift"), 0.0)
    labels = {"enabled": True, "every": "20s", "max_increase": 0.0 if tolerance == "none" else 0.1}
    told: dict[str, Any] = {**none, "slow_ratio": 1.000001} if tolerance == "none" else {}
    policy = Rollout(**told, labels=labels, shadow=100, steps=[1, 5, 25, 50], min_requests=100, look_every="5s")
    back = 0
    for seed in range(200):
        world, registry, _, _ = stage(tmp_path / str(seed), Behaviour(), seed=seed, rate=800.0, label_delay=10.0)
        back += led(world, registry, policy).roll_out().kind == "taken-back"
    assert back <= binom.ppf(0.999, 200, policy.alpha)


@pytest.mark.parametrize("kill_at", range(1, 12))
def test_killed_at_any_look_it_goes_on_where_it_was(tmp_path: Path, kill_at: int) -> None:
    world, registry, _, new = stage(tmp_path, rate=600.0)
    policy = Rollout(steps=[10, 50], min_requests=1500)
    looks = 0

    def dying(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == kill_at:
            raise Killed
        world.sleep(seconds)

    doomed = led(world, registry, policy, sleep=dying)
    doomed._lease.release = lambda: None  # type: ignore[method-assign]  # a killed process releases nothing
    try:
        doomed.roll_out()
    except Killed:
        reached = registry.state().rollout
        assert reached is not None
        world.sleep(3600.0)
        first = led(world, registry, policy).roll_out()
        assert first.kind == "promoted"
        percents = [e.figures["percent"] for e in registry.log() if e.kind == "canary"]
        assert percents == sorted(percents)
    assert registry.state().champion == new
    assert world.split == {new: 100}


def test_of_two_at_once_one_wins_and_the_other_says_so(tmp_path: Path) -> None:
    world, registry, _, _ = stage(tmp_path)
    second = led(world, registry)
    said: list[str] = []

    def sleep(seconds: float) -> None:
        with pytest.raises(ConflictError) as caught:
            second.roll_out()
        said.append(caught.value.message)
        world.sleep(seconds)

    assert led(world, registry, sleep=sleep).roll_out().kind == "promoted"
    assert all("under way" in message for message in said)


def test_one_that_was_thought_dead_notices_and_leaves_the_traffic_alone(tmp_path: Path) -> None:
    world, registry, _, new = stage(tmp_path)
    policy = Rollout(steps=[50])
    once: list[Outcome] = []

    def sleep(seconds: float) -> None:
        if not once:
            world.sleep(3600.0)
            once.append(led(world, registry, policy).roll_out())
        world.sleep(seconds)

    with pytest.raises(ConflictError, match="taken this rollout over"):
        led(world, registry, policy, sleep=sleep).roll_out()
    assert once[0].kind == "promoted"
    assert world.split == {new: 100}


def test_freeze_stops_it_and_does_not_count_against_it(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path)

    def sleep(seconds: float) -> None:
        if registry.state().frozen is None:
            registry.freeze(reason="christmas sales")
        world.sleep(seconds)

    ended = led(world, registry, sleep=sleep).roll_out()
    assert ended.kind == "stopped"
    assert "christmas sales" in ended.decision.reason
    assert world.split == {old: 100}
    assert new not in registry.state().withdrawn
    with pytest.raises(RegistryError, match="frozen"):
        led(world, registry).roll_out()
    registry.unfreeze(reason="the sales are over")
    assert led(world, registry).roll_out().kind == "promoted"


def test_a_challenger_that_does_not_start_never_has_traffic(tmp_path: Path) -> None:
    world, registry, old, new = stage(tmp_path)
    world.unready = frozenset({new})
    ended = led(world, registry).roll_out()
    assert (ended.kind, world.split) == ("stopped", {old: 100})
    assert "exit code 3" in ended.decision.reason
    assert new not in world.sent


@pytest.mark.parametrize(
    ("when_short", "rate", "kind"),
    [
        ("take-back", 0.5, "stopped"),
        ("proceed", 0.5, "promoted"),
        ("proceed", 0.01, "stopped"),
    ],
)
def test_too_few_requests_end_a_step_as_the_settings_say(
    tmp_path: Path, when_short: Any, rate: float, kind: str
) -> None:
    """Where not even a version that fails every request could have been told, it never goes on."""
    world, registry, _, new = stage(tmp_path, rate=rate)
    policy = Rollout(when_short=when_short, max_duration="10m", steps=[5, 50])
    assert led(world, registry, policy).roll_out().kind == kind
    assert new not in registry.state().withdrawn


@pytest.mark.parametrize("when_short", ["take-back", "proceed"])
def test_one_whose_numbers_never_come_ends_with_the_steps_longest_duration(tmp_path: Path, when_short: Any) -> None:
    world, registry, old, _new = stage(tmp_path)
    seen = world.counts
    world.counts = lambda version: seen(version) if version == old else Counts()  # type: ignore[method-assign]
    begun = world.now
    policy = Rollout(when_short=when_short, max_duration="10m")
    ended = led(world, registry, policy).roll_out()
    assert ended.kind == "stopped"
    assert "only 0 requests at 0.5 % of the traffic" in ended.decision.reason
    assert world.split == {old: 100}
    assert world.now - begun <= policy.max_duration + policy.look_every


@pytest.mark.parametrize("when_short", ["take-back", "proceed"])
def test_one_that_fails_every_request_never_goes_on_for_want_of_requests(tmp_path: Path, when_short: Any) -> None:
    for seed in range(5):
        world, registry, old, new = stage(
            tmp_path / str(seed), Behaviour(failing=1.0, seconds=6.0), seed=seed, rate=1.0
        )
        policy = Rollout(when_short=when_short, max_duration="5m", steps=[1, 50])
        assert led(world, registry, policy).roll_out().kind in ("taken-back", "stopped")
        assert world.sent[new] / sum(world.sent.values()) <= 0.05
        assert world.split == {old: 100}


def test_nothing_cleared_is_said(tmp_path: Path) -> None:
    world, registry, _, _ = stage(tmp_path)
    led(world, registry).roll_out()
    with pytest.raises(RegistryError, match="Cleared for a rollout: none"):
        led(world, registry).roll_out()


def test_a_store_that_goes_away_leaves_nobody_with_traffic_unwatched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, registry, old, new = stage(tmp_path)
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            monkeypatch.setattr(registry.store, "put", _gone)
            monkeypatch.setattr(registry.store, "put_if_absent", _gone)
        world.sleep(seconds)

    with pytest.raises(StoreError):
        led(world, registry, sleep=sleep).roll_out()
    monkeypatch.undo()
    assert world.split == {old: 100}
    world.sleep(3600.0)
    assert led(world, registry).roll_out().kind == "promoted"
    assert registry.state().champion == new


def _gone(*_: object) -> None:
    raise StoreError("the server does not answer", "start it")
