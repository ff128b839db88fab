"""Twenty-six weeks of a world in which nothing changes, through ledger, detectors, performance and rules."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from planted import DAY, START, Planted, planted
from scipy.stats import binom

from sluice.watch import door
from sluice.watch.acting import act
from sluice.watch.drift import read_task
from sluice.watch.monitor import Gathered, gather, judge, lay_out

FIRST, WEEKS = 56, 26
ALL = """
import sys
from pathlib import Path
from sluice.watch.alibi import drift
for one in map(Path, sys.argv[1:]):
    drift.run(one, one, lambda *_: None)
"""


@pytest.mark.slow
def test_half_a_year_of_a_quiet_world_trains_nothing(python: Path, tmp_path: Path) -> None:
    world = planted(tmp_path, days=FIRST + 7 * WEEKS + 1)
    world.answer(FIRST, FIRST + 7 * WEEKS)
    folders = [tmp_path / f"week-{number}" for number in range(1, WEEKS + 1)]
    weeks = [_gathered(world, number, folder) for number, folder in enumerate(folders, 1)]
    # One process for all of them: what it imports takes longer than a week does.
    subprocess.run([str(python), "-W", "ignore", "-c", ALL, *folders], env=door.environment(), check=True)

    violated, acts = 0, []
    for gathered, folder in zip(weeks, folders, strict=True):
        watched = judge(world.registry, gathered, read_task(folder))
        assert watched.window["tested"] and watched.window["verdict"] in ("quiet", "violated")
        violated += watched.window["verdict"] == "violated"
        acts.append(act(world.registry, world.use_case, at=gathered.at))
    assert len(watched.history) == WEEKS and watched.pooled["verdict"] == "kept"
    assert violated <= binom.ppf(0.999, WEEKS, world.use_case.watch.alarm_rate)
    assert not any(one.run for one in acts)
    assert "retraining" not in {decision.kind for decision in world.registry.log()}


def _gathered(world: Planted, number: int, folder: Path) -> Gathered:
    """What is known when a week has settled, and the detectors' task."""
    at = START + (FIRST + 7 * number) * DAY + timedelta(hours=1)
    gathered = gather(world.registry, world.use_case, at=at, now=START + 400 * DAY)
    lay_out(world.registry, gathered, folder)
    return gathered
