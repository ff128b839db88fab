"""A version is served with the windows that it was trained with, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sluice.errors import FeatureError
from sluice.features.repository import read_service, refuse_other_windows
from sluice.settings import read_use_case

ROOT = Path(__file__).parents[2]


def test_a_repository_that_changed_its_windows_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "feature_repo", tmp_path / "feature_repo", ignore=shutil.ignore_patterns("data"))
    use_case = read_use_case(ROOT / "use_cases" / "fraud.yaml")
    service = read_service(use_case, tmp_path)
    assert service is not None
    refuse_other_windows(use_case, service.digest, tmp_path)
    definitions = tmp_path / "feature_repo" / "features.py"
    definitions.write_text(definitions.read_text().replace("(1, 7, 30)", "(1, 7, 28)"))
    with pytest.raises(FeatureError, match="other windows for fraud_v1"):
        refuse_other_windows(use_case, service.digest, tmp_path)
