"""Reading the definitions of a Feast repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from feast import Entity, FeatureService

from sluice.errors import FeatureError
from sluice.features.repository import read_repository, service_of

ROOT = Path(__file__).parents[2]


def repository(folder: Path, **files: str) -> Path:
    folder.mkdir()
    (folder / "feature_store.yaml").write_text("project: p\nprovider: local\nregistry: r.db\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def entity(name: str) -> str:
    return f"""
from feast import Entity, ValueType

made = Entity(name="{name}", join_keys=["{name}"], value_type=ValueType.STRING)
"""


def test_two_repositories_with_files_of_one_name(tmp_path: Path) -> None:
    first = read_repository(repository(tmp_path / "a", features=entity("card")))
    second = read_repository(repository(tmp_path / "b", features=entity("shop")))
    assert first.find(Entity, "card") is not None
    assert second.find(Entity, "shop") is not None
    assert second.find(Entity, "card") is None
    assert "features" not in sys.modules
    assert str(tmp_path / "b") not in sys.path


def test_files_may_import_one_another(tmp_path: Path) -> None:
    text = "from entities_of_mine import made as card\n"
    found = read_repository(repository(tmp_path / "a", entities_of_mine=entity("card"), features=text))
    assert [o.name for o in found.objects if isinstance(o, Entity)] == ["card"]
    assert "entities_of_mine" not in sys.modules


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"features\.py: ZeroDivisionError"):
        read_repository(repository(tmp_path / "a", features="1 / 0"))


def test_windows_come_in_the_order_of_the_aggregations() -> None:
    found = read_repository(ROOT / "feature_repo")
    service = service_of(found, "fraud_v1")
    assert service.names[:4] == ("card_count_1d", "card_count_7d", "card_count_30d", "card_amount_mean_1d")
    assert [part.view.name for part in service.windows] == ["card", "terminal", "terminal_risk"]
    assert found.find(FeatureService, "fraud_v2") is None


def test_the_digest_follows_the_windows_and_nothing_else() -> None:
    one, two = (service_of(read_repository(ROOT / "feature_repo"), "fraud_v1") for _ in range(2))
    assert one.digest == two.digest
