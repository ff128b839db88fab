"""What `sluice new` writes from a CSV goes through the whole loop as it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner
from whole_loop import check_papers, go_round

from sluice.settings import read_use_case
from sluice_cli.main import app


def rides(rows: int, seed: int) -> pl.DataFrame:
    """Rides that come late: in bad weather, and with some drivers; it is reported hours afterwards."""
    random = np.random.default_rng(seed)
    seconds, driver = np.sort(random.integers(0, 60 * 86_400, rows)), random.integers(0, 40, rows)
    weather, km = random.choice(["dry", "rain", "snow"], rows, p=[0.7, 0.2, 0.1]), random.gamma(3, 2, rows).round(1)
    logit = -2.5 + 4 * random.beta(1, 3, 40)[driver] + 0.1 * km + 1.2 * (weather == "rain") + 2 * (weather == "snow")
    start = [datetime(2024, 1, 1) + timedelta(seconds=int(s)) for s in seconds]
    late = random.random(rows) < 1 / (1 + np.exp(-logit))
    return pl.DataFrame(
        {
            "ride_id": [f"r{i}" for i in range(rows)],
            "start": start,
            "driver_id": [f"d{i}" for i in driver],
            "km": km,
            "weather": weather,
            "late": late.astype(int),
            "reported": [s + timedelta(hours=float(h)) for s, h in zip(start, random.gamma(2, 3, rows), strict=True)],
        }
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_csv_becomes_a_served_model_with_nothing_written_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rides(6000, 8).write_csv("rides.csv")
    assert CliRunner().invoke(app, ["new", "rides", "--from", "rides.csv", "--yes"]).exit_code == 0
    loop = go_round(read_use_case(Path("use_cases/rides.yaml")), tmp_path / ".sluice")
    check_papers(loop)
    assert loop.figures["challenger"] > 0.6
    asked = {"event_id": "next", "event_time": "2024-03-01T12:00:00Z", "km": 9.0, "driver": "d1"}
    snow, dry = loop.ask({**asked, "weather": "snow"}, {**asked, "weather": "dry"})
    assert snow["score"] > dry["score"] + 0.1
    assert snow["unknown"] == []
