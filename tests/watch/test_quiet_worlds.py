"""Weeks after training in simulated worlds where nothing changes: what lies beyond the usual there does not matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from watched import TRAINED, reference_of, window_of, world_rows

from sluice.settings.watch import Watch
from sluice.watch.alibi.comparison import Comparison
from sluice.watch.alibi.judging import judged


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 5, 8])
def test_four_weeks_of_a_quiet_world_are_quiet(seed: int, tmp_path: Path) -> None:
    """Terminals stay taken over for four weeks, so that the days of a short reference are not like any others."""
    schema, rows = world_rows(tmp_path, seed, TRAINED + 28)
    watch = Watch(draws=200)
    beyond = 0
    for week in range(4):
        window = window_of(rows, TRAINED + 7 * week)
        pair = Comparison(schema, reference_of(rows), window, watch.model_dump(mode="json"), 7)
        drawn, found = pair.marginals()
        assert not judged(drawn, found, watch.alarm_rate / 2, watch.min_distance).moved.any()
        beyond += judged(drawn, found, watch.alarm_rate / 2).moved.any()
    assert beyond > 0, "without the least distance these weeks would alarm"
