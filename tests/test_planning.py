"""What a step's reuse depends on, beside settings and data: definitions and models outside the library."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from sluice.planning import code_digest, everything_digest
from sluice.settings import UseCase, read_use_case

ROOT = Path(__file__).parents[1]
OWN = {"id": "own", "kind": "import", "import": "planned_models.near:Near"}


@pytest.fixture
def use_case(tmp_path: Path) -> UseCase:
    shutil.copytree(ROOT / "feature_repo", tmp_path / "repo", ignore=shutil.ignore_patterns("data", "__pycache__"))
    return read_use_case(ROOT / "use_cases" / "fraud.yaml", {"features.repo": str(tmp_path / "repo")})


def test_a_changed_feature_definition_is_other_code_and_data_beside_it_is_not(use_case: UseCase) -> None:
    repo = Path(str(use_case.features.repo))
    before = everything_digest(use_case)
    assert before != code_digest()
    (repo / "data").mkdir()
    (repo / "data" / "events.parquet").write_bytes(b"a table of yesterday")
    assert everything_digest(use_case) == before
    definitions = (repo / "features.py").read_text()
    (repo / "features.py").write_text(definitions.replace("HOUR = timedelta(hours=1)", "HOUR = timedelta(hours=2)"))
    assert everything_digest(use_case) != before


def test_a_changed_model_of_ones_own_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = read_use_case(
        ROOT / "use_cases" / "fraud.yaml",
        {
            "features.repo": str(ROOT / "feature_repo"),
            "training.candidates": [{"id": "constant", "kind": "constant"}, OWN],
        },
    )
    absent = everything_digest(own)
    package = tmp_path / "site" / "planned_models"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "near.py").write_text("class Near: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    before = everything_digest(own)
    (package / "near.py").write_text("class Near: changed = True\n")
    assert len({absent, before, everything_digest(own)}) == 3
