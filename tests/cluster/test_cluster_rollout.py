"""The whole life of a rollout through the real gateway, led by the pod that the manifests bring.

Faults are injected in serving (`faulty.py`): the model is the champion's own, so that no gate could know.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from conftest import WaitFor
from life import BRISK, FAULTS, FEW, Answer, Life, champion_of, inject, quicken, signing_registry, variants, way_in
from objects import is_ready
from scipy.stats import binom
from stack import NAMESPACE, Stack
from test_kserve import inference_service

from sluice.registry import Decision, Version
from tools.cluster import gateway

AIM = 0.01
"""The largest share of requests hurt."""
SETTINGS = ("--overlay", "/etc/sluice/settings/cluster.yaml")


@pytest.fixture(scope="module")
def life(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The champion behind the gateway, and versions that nobody has cleared yet."""
    gateway.install(stack.cluster)
    folder = tmp_path_factory.mktemp("life")
    registry = signing_registry(stack)
    champion = champion_of(registry, folder)
    made = variants(registry, champion, folder)
    inject(stack, made)
    quicken(stack)
    if registry.champion() is None:
        registry.decide("promoted", version=champion.digest, expected_head=registry.head(), reason="the first")
    url = way_in(stack)
    yield Life(stack, registry, url, {"champion": champion, **made})
    print(stack.kubectl("logs", "deployment/rollout", "--tail=50"))


def service(version: Version) -> str:
    """The Service of a version's servers."""
    return f"fraud-{version.digest[:12]}-predictor"


def ended(life: Life, wait_for: WaitFor, version: Version, *kinds: str, within: float = 540) -> Decision:
    """The decision that ends a version's rollout."""
    found: Decision = wait_for(f"{' or '.join(kinds)}", lambda: life.last(version, *kinds), within=within)
    return found


def settled(life: Life, wait_for: WaitFor, version: Version) -> None:
    """Wait until a version has all the traffic."""
    wait_for("all traffic at one version", lambda: _weight(life, version) == 100, within=180)


def test_the_first_champion_gets_servers_of_its_own_and_the_route(life: Life, wait_for: WaitFor) -> None:
    champion = life.versions["champion"]
    settled(life, wait_for, champion)
    here = life.stack.kubectl
    assert life.weights() == {service(champion): 100}
    assert not here.get("deployments", "--selector=serving.kserve.io/inferenceservice=fraud"), "the template runs"
    with life.requests() as answers:
        time.sleep(3)
    assert {(one.status, one.version) for one in answers} == {(200, champion.digest)}


def test_a_neighbour_keeps_its_route_and_versions_have_none_of_kserves(life: Life, wait_for: WaitFor) -> None:
    small = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
    wanted: dict[str, Any] = inference_service(NAMESPACE, "neighbour")
    wanted["spec"]["predictor"]["containers"][0]["resources"] = small
    del wanted["metadata"]["labels"]
    here = life.stack.kubectl
    here.apply(wanted)
    try:
        wait_for("the neighbour", lambda: is_ready(here.get("inferenceservice/neighbour")), within=240)
        names = {each["metadata"]["name"] for each in here.get("httproutes")}
        assert names == {"fraud", "neighbour", "neighbour-predictor"}
    finally:
        here("delete", "inferenceservice", "neighbour")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != FEW])
def test_each_fault_takes_it_back_with_few_requests_hurt(life: Life, wait_for: WaitFor, fault: str) -> None:
    _takes_back(life, wait_for, fault)


def _takes_back(life: Life, wait_for: WaitFor, fault: str) -> None:
    champion, version = life.versions["champion"], life.versions[fault]
    with life.requests() as answers:
        life.clear(fault)
        decision = ended(life, wait_for, version, "taken-back", "promoted")
        time.sleep(1)
    assert decision.kind == "taken-back", decision.reason
    assert decision.figures["cause"] == "evidence", decision.reason
    assert _weight(life, champion) == 100
    assert life.registry.state().champion == champion.digest
    during = _during(answers, version)
    hurt = [one for one in during if _is_hurt(one, version, fault)]
    assert {one.status for one in during if one.version == champion.digest} == {200}
    print(f"\n{fault}: {_told(during, hurt)}; {decision.reason}")
    # Half of what is aimed at goes to it; of some hundred requests a few more may by chance.
    assert len(hurt) <= binom.ppf(0.999, len(during), AIM)


def test_a_shadow_meets_the_fault_and_no_request_is_hurt(life: Life, wait_for: WaitFor) -> None:
    """The gateway copies; the champion answers everything."""
    champion, version = life.versions["champion"], life.versions["copied"]
    quicken(life.stack, shadow=100, shadow_requests=1000)
    try:
        with life.requests() as answers:
            life.clear("copied")
            decision = ended(life, wait_for, version, "taken-back", "promoted")
            time.sleep(1)
    finally:
        quicken(life.stack, **BRISK)
    assert decision.kind == "taken-back", decision.reason
    assert "at a copy of 100 % of the requests" in decision.reason
    assert {(one.status, one.version) for one in answers} == {(200, champion.digest)}
    assert "filters" not in life.stack.kubectl.get("httproute/fraud")["spec"]["rules"][0]
    print(f"\nshadow: {len(answers):,} requests, none hurt; {decision.reason}")


def test_errors_on_a_few_requests_take_it_back(life: Life, wait_for: WaitFor) -> None:
    _takes_back(life, wait_for, FEW)


def test_freeze_gives_the_traffic_back_and_counts_as_nothing_against_it(life: Life, wait_for: WaitFor) -> None:
    version = life.clear("frozen")
    wait_for("traffic", lambda: _weight(life, version) == BRISK["steps"][0], within=120)
    life.registry.freeze(reason="the shop is closed")
    try:
        decision = ended(life, wait_for, version, "taken-back")
        assert "the shop is closed" in decision.reason
        assert _weight(life, version) == 0
        assert version.digest in life.registry.state().cleared
    finally:
        life.registry.settle("refused", version=version.digest, against=life.registry.state().champion)
        life.registry.unfreeze(reason="it opens")


def test_a_version_that_does_not_start_leaves_nothing_behind(life: Life, wait_for: WaitFor) -> None:
    """Its signature is another's, so that its server refuses it."""
    version, store = life.versions["forged"], life.registry.store
    theirs = _signature(life, life.versions["champion"])
    store.put(theirs.replace(life.versions["champion"].digest, version.digest), store.get(theirs))
    life.clear("forged")
    decision = ended(life, wait_for, version, "taken-back")
    assert "exit code 3" in decision.reason
    assert service(version) not in life.weights()
    here, name = life.stack.kubectl, f"inferenceservice/fraud-{version.digest[:12]}"
    wait_for("it to be gone", lambda: not here("get", name, "--ignore-not-found"), within=60)


def test_a_good_one_is_promoted_though_its_rollout_is_killed_in_the_middle_and_no_request_is_lost(
    life: Life, wait_for: WaitFor
) -> None:
    champion, here = life.versions["champion"], life.stack.kubectl
    with life.requests() as answers:
        version = life.clear("good")
        wait_for("the first requests", lambda: _weight(life, version) == BRISK["steps"][0], within=120)
        here("delete", "pod", life.rollout_pod(), "--grace-period=0", "--force")
        ended(life, wait_for, version, "promoted")
        settled(life, wait_for, version)
        time.sleep(2)
    assert not (lost := _lost(answers, version)), lost
    assert {one.version for one in answers} == {champion.digest, version.digest}
    steps = [
        entry.figures["step"]
        for entry in life.registry.log()
        if entry.kind == "canary" and entry.version == version.digest
    ]
    assert steps == sorted(steps)
    print(f"\npromoted: {len(answers):,} requests, none lost; steps in the log: {steps}")


def test_a_rollback_by_hand_is_one_command_and_loses_no_request(life: Life, wait_for: WaitFor) -> None:
    champion, version, here = life.versions["champion"], life.versions["good"], life.stack.kubectl
    assert life.registry.state().champion == version.digest
    words = ["sluice", "rollback", "use_cases/fraud.yaml", *SETTINGS, "--reason", "complaints"]
    with life.requests() as answers:
        wait_for("answers", lambda: _weight(life, version) == 100)
        begun = time.time()
        said = here("exec", "deployment/rollout", "--", *words)
        took = time.time() - begun
        time.sleep(2)
    assert "it has all the traffic" in said
    assert _weight(life, champion) == 100
    assert not (lost := _lost(answers, version)), lost
    last = max(one.sent for one in answers if one.version == version.digest)
    decided = life.registry.log()[-1].time.timestamp()
    print(
        f"\nrollback by hand: the command took {took:.1f} s; the last request {last - decided:.1f} s after the decision"
    )


def _lost(answers: Sequence[Answer], version: Version) -> str:
    """How many requests had no answer, and when, in seconds from the version's first one; empty where none was lost."""
    lost = [one for one in answers if one.status != 200]
    if not lost:
        return ""
    first = min((one.sent for one in answers if one.version == version.digest), default=0.0)
    told = ", ".join(f"{each}: {count}" for each, count in Counter(one.status for one in lost).items())
    from_, to = (one.sent - first for one in (lost[0], lost[-1]))
    took = answers[-1].sent - answers[0].sent
    return f"{len(lost)} of {len(answers)} in {took:.0f} s ({told}), sent from {from_:+.1f} s to {to:+.1f} s"


def _weight(life: Life, version: Version) -> float:
    here = life.stack.kubectl
    if not here("get", "httproute/fraud", "--ignore-not-found"):
        return 0
    return life.weights().get(service(version), 0)


def _signature(life: Life, version: Version) -> str:
    return next(key for key in life.registry.store.keys("registry/fraud/signatures") if version.digest in key)


def _during(answers: list[Answer], version: Version) -> list[Answer]:
    """From the first request to the challenger to its last; a failed one does not say whose it was."""
    mine = [one.sent for one in answers if one.version == version.digest or one.status != 200]
    assert mine, "it had no request"
    return [one for one in answers if min(mine) <= one.sent <= max(mine)]


def _is_hurt(answer: Answer, version: Version, fault: str) -> bool:
    return answer.status != 200 or (answer.version == version.digest and "failing" not in FAULTS[fault])


def _told(during: list[Answer], hurt: list[Answer]) -> str:
    took = during[-1].sent - during[0].sent
    share = len(hurt) / len(during)
    return (
        f"taken back {took:.1f} s after its first request; {len(hurt)} of {len(during):,} requests hurt ({share:.2%})"
    )
