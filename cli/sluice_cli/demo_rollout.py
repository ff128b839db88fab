"""The demo's rollout: the challenger meets an injected fault, is taken back, and returns when a person says why."""

from __future__ import annotations

import shutil
from pathlib import Path

from sluice.registry import Registry
from sluice.settings import UseCase
from sluice_cli.console import out
from sluice_cli.next_day import next_day_events
from sluice_cli.people import registry_for
from sluice_cli.rollout import lead
from sluice_cli.traffic import local_traffic
from sluice_serving.replay import request_bodies
from sluice_serving.traffic.load import Load
from sluice_serving.traffic.local import LocalTraffic

FAILING = 0.1
"""Share of the requests that the injected fault fails."""


def roll_out_twice(use_case: UseCase, work: Path, online: Path) -> None:
    """Under the next day's transactions: once with a fault that is injected, once without."""
    registry = registry_for(use_case)
    champion, challenger = registry.champion(), registry.state().cleared[-1]
    assert champion is not None
    state = work / "rollout"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(online, state)
    bodies = request_bodies(use_case, next_day_events(use_case))
    with out.status("starting the champion's server"), local_traffic(use_case, registry, work, state) as traffic:
        traffic.promote(champion.digest)
        with Load(traffic.endpoint, use_case.name, bodies) as load:
            _with_fault(use_case, registry, traffic, challenger)
            registry.approve(challenger, reason="the fault was injected by the demo", rollout=True)
            out.print("approved by hand: [dim]the fault was injected by the demo[/]; once more, without it")
            lead(use_case, registry, traffic)
        out.print(f"{load.failed:,} of {load.sent:,} requests failed ({load.failed / load.sent:.2%}), all by the fault")


def _with_fault(use_case: UseCase, registry: Registry, traffic: LocalTraffic, challenger: str) -> None:
    out.print(f"an injected fault: the front fails {FAILING:.0%} of the challenger's requests; the gate cannot know")
    traffic.prepare(challenger)
    traffic.break_answers(challenger, FAILING)
    lead(use_case, registry, traffic)
