"""The benches' settings are usable, and what they say when their table is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sluice.features.historical import feature_names
from sluice.settings import read_use_case
from sluice.settings.features import Features
from sluice.settings.training import Candidate
from sluice.training.candidates import read_params

ROOT = Path(__file__).parents[2]
SETTINGS = yaml.safe_load((ROOT / "bench" / "handbook.yaml").read_text())
REPRODUCTION = SETTINGS["reproduction"]


def test_the_reproduction_uses_every_feature_of_its_repository() -> None:
    case = read_use_case(ROOT / SETTINGS["use_case"])
    theirs = case.model_copy(update={"features": Features.model_validate(REPRODUCTION["features"])})
    assert sorted(feature_names(theirs, root=ROOT)) == sorted(REPRODUCTION["columns"])


@pytest.mark.parametrize("part", ["holdout", "prequential"])
def test_the_published_models_can_be_trained(part: str) -> None:
    for line in REPRODUCTION[part]:
        candidate = Candidate.model_validate(line["candidate"])
        read_params(candidate, dict(candidate.params))
        assert set(line["published"]) == {"roc_auc", "average_precision", "card_precision"}


def test_a_missing_table_is_told_by_its_path(tmp_path: Path) -> None:
    missing = tmp_path / "transactions.parquet"
    command = [sys.executable, str(ROOT / "bench" / "handbook.py"), str(missing)]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert told.returncode == 2
    assert str(missing) in told.stderr and "Traceback" not in told.stderr
