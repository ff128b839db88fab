"""A rollout over real servers: the controller, the front, and what the servers' own metrics say."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from serving_world import JSON, WITHIN, Deployed, WorldTables, body, deploy, instance

from sluice.errors import RequestError
from sluice.rollout import EDGES, Controller, Counts, Outcome
from sluice.settings.rollout import Rollout
from sluice_serving.replay import request_bodies
from sluice_serving.traffic.load import Load
from sluice_serving.traffic.local import LocalTraffic
from sluice_serving.traffic.observed import read_counts

# Two servers and the tests share two cores, and the two random models score on different scales.
POLICY = Rollout(
    steps=[20, 50],
    min_requests=60,
    look_every="200ms",
    max_duration="10m",
    max_slow_increase=0.99,
    max_score_shift=0.99,
)


@dataclass
class Stage:
    """Champion, challenger, and the address that both are behind."""

    champion: Deployed
    challenger: Deployed
    traffic: LocalTraffic
    bodies: list[bytes]

    def controller(self, policy: Rollout = POLICY, sleep: Callable[[float], None] = time.sleep) -> Controller:
        """The controller of production, in real time."""
        return Controller(
            self.champion.registry,
            self.traffic,
            self.traffic.observer(),
            policy,
            clock=lambda: datetime.now(UTC),
            sleep=sleep,
        )


@pytest.fixture
def stage(world: WorldTables, state: Path, tmp_path: Path) -> Iterator[Stage]:
    champion = deploy(world.use_case, tmp_path / "champion")
    challenger = deploy(world.use_case, tmp_path / "challenger", seed=1, beside=champion)
    known = {one.digest: one for one in (champion, challenger)}
    with LocalTraffic(
        lambda digest: known[digest].arguments(state), tmp_path / "logs", seed=5, ready_seconds=WITHIN, timeout=2.0
    ) as traffic:
        traffic.promote(champion.digest)
        yield Stage(champion, challenger, traffic, request_bodies(world.use_case, world.day))


def rolled_out(
    stage: Stage, policy: Rollout = POLICY, sleep: Callable[[float], None] = time.sleep
) -> tuple[Outcome, Load]:
    """The end of a rollout under load."""
    with Load(stage.traffic.endpoint, "fraud", stage.bodies) as load:
        ended = stage.controller(policy, sleep).roll_out()
    return ended, load


def test_a_good_challenger_is_a_shadow_first_then_takes_over_and_no_request_is_lost(stage: Stage) -> None:
    ended, load = rolled_out(stage, POLICY.model_copy(update={"shadow": 100, "shadow_requests": 60}))
    assert (ended.kind, ended.version) == ("promoted", stage.challenger.digest), ended.decision.reason
    assert stage.traffic.weights() == {stage.challenger.digest: 100}
    assert load.sent > POLICY.min_requests
    assert load.failed == 0
    said = [entry.reason for entry in stage.champion.registry.log() if entry.kind == "canary"]
    assert said[1:] == ["a copy of 100 % of the requests", "20 % of the traffic", "50 % of the traffic"]


def test_one_that_hangs_is_taken_back_and_the_champion_keeps_serving(stage: Stage) -> None:
    """Its process is stopped in the middle of a step: it goes on to accept requests, and answers none."""
    champion, challenger = stage.champion.digest, stage.challenger.digest
    answered: list[int] = []

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if stage.traffic.weights()[challenger] == 20 and not answered:
            stage.traffic._servers[challenger].process.send_signal(signal.SIGSTOP)
        answered.append(stage.traffic.observer().counts(champion).requests)

    ended, load = rolled_out(stage, POLICY.model_copy(update={"min_requests": 10**6}), sleep)
    assert ended.kind == "taken-back"
    assert "not seen any more" in ended.decision.reason
    assert stage.traffic.weights() == {champion: 100}
    assert challenger in stage.champion.registry.state().withdrawn
    assert load.failed > 0
    assert answered == sorted(answered)
    assert answered[-1] > answered[0]
    assert httpx.get(f"{stage.traffic.endpoint}/v2/health/ready", timeout=WITHIN).status_code == 200


def test_one_whose_requests_fail_is_taken_back_and_returns_when_a_person_says_so(stage: Stage) -> None:
    stage.traffic.prepare(stage.challenger.digest)
    stage.traffic.break_answers(stage.challenger.digest, 0.5)
    ended, load = rolled_out(stage)
    assert ended.kind == "taken-back"
    assert "failed requests" in ended.decision.reason
    assert stage.traffic.weights() == {stage.champion.digest: 100}
    assert 0 < load.failed < load.sent / 4
    registry = stage.champion.registry
    assert stage.challenger.digest in registry.state().withdrawn
    registry.approve(stage.challenger.digest, reason="the fault was injected", rollout=True)
    assert rolled_out(stage)[0].kind == "promoted"


def test_a_server_counts_what_it_was_asked(world: WorldTables, endpoint: str) -> None:
    before = _counted(endpoint)
    rows = [instance(row) for row in world.day.head(7).iter_rows(named=True)]
    for row in rows:
        assert (
            httpx.post(
                f"{endpoint}/v1/models/fraud:predict", content=body(row), headers=JSON, timeout=WITHIN
            ).status_code
            == 200
        )
    answer = httpx.post(f"{endpoint}/v1/models/fraud:predict", content=body(*rows), headers=JSON, timeout=WITHIN).json()
    found = _counted(endpoint).since(before)
    assert (found.requests, found.errors, found.scored) == (8, 0, 14)
    scores = [one["score"] for one in answer["predictions"]] * 2
    assert found.levels == tuple(sum(score <= k / 10 for score in scores) for k in range(1, 10))
    assert list(found.within) == sorted(found.within)
    assert len(found.within) == len(EDGES)


def test_a_version_without_a_server_that_answers_is_an_error(stage: Stage) -> None:
    stage.traffic._servers[stage.champion.digest].kill()
    with pytest.raises(RequestError, match="metrics"):
        stage.traffic.observer().counts(stage.champion.digest)


def _counted(endpoint: str) -> Counts:
    return read_counts(httpx.get(f"{endpoint}/metrics", timeout=WITHIN).text)
