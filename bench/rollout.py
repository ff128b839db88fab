"""Rollouts simulated in time through the controller of production: who is hurt by a bad version, who is taken back.

    python bench/rollout.py [--runs 50] [--equals 200] [--rate 50]

Hurt are failed requests, and of a version that is slow or whose scores have shifted all that it answered, as a share of
all requests from the challenger's first weight to its last. The steps are the settings' own; equal versions are rolled
out without any tolerance, so that alpha alone protects them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from machine import machine
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).parents[1]))

from sluice.rollout import Controller, Outcome
from sluice.settings.rollout import Rollout
from tests.rollout.simulated import Behaviour, World, registry_in

FAULTS = {
    "errors on 5 % of requests": Behaviour(failing=0.05),
    "five times slower": Behaviour(seconds=0.006),
    "hangs": Behaviour(failing=1.0, seconds=6.0),
    "scores have shifted": Behaviour(moved=0.25),
}
EXACT: dict[str, Any] = {
    **dict.fromkeys(("max_error_increase", "max_slow_increase", "max_score_shift"), 0.0),
    "slow_ratio": 1.000001,
    "labels": {"enabled": True, "every": "20s", "max_increase": 0.0},
    "shadow": 100,
    "min_requests": 100,
    "look_every": "5s",
}


def main() -> None:
    """Print both tables."""
    given = _arguments()
    print(machine())
    print("| fault | taken back at | requests to it, mean | hurt, mean | hurt, most |\n|---|---|---|---|---|")
    for name, fault in FAULTS.items():
        _print_fault(name, fault, given.runs, given.rate)
    back = sum(
        _rolled_out(Behaviour(), Rollout(**EXACT), seed, 400.0)[1].kind == "taken-back" for seed in range(given.equals)
    )
    alpha = Rollout().alpha
    allowed = int(binom.ppf(0.999, given.equals, alpha))
    print(f"equal versions taken back: {back} of {given.equals}; {allowed} is the 99.9 % quantile at alpha {alpha}")


def _print_fault(name: str, fault: Behaviour, runs: int, rate: float) -> None:
    shares, requests, steps = [], [], set()
    for seed in range(runs):
        world, ended, version = _rolled_out(fault, Rollout(), seed, rate)
        failing = 0.01 < fault.failing < 1.0
        hurt = world.counts(version).errors if failing else world.sent[version]
        shares.append(hurt / sum(world.sent.values()))
        requests.append(world.sent[version])
        steps.add(f"{ended.decision.figures['percent']:g} %" if ended.kind == "taken-back" else ended.kind)
    told = f"{', '.join(sorted(steps))} | {np.mean(requests):.0f} | {np.mean(shares):.2%} | {max(shares):.2%}"
    print(f"| {name} | {told} |", flush=True)


def _rolled_out(challenger: Behaviour, policy: Rollout, seed: int, rate: float) -> tuple[World, Outcome, str]:
    with TemporaryDirectory(prefix="sluice-rollout-") as folder:
        _, old, new = registry_in(Path(folder), World({}))
        world = World({old: Behaviour(), new: challenger}, seed=seed, rate=rate, label_delay=10.0)
        registry, _, _ = registry_in(Path(folder) / "told", world)
        controller = Controller(registry, world, world, policy, clock=world.clock, sleep=world.sleep, labelled=world)
        return world, controller.roll_out(), new


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="rollouts of each fault")
    parser.add_argument("--equals", type=int, default=200, help="rollouts of equal versions")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second under a fault")
    return parser.parse_args()


if __name__ == "__main__":
    main()
