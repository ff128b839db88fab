"""The live version over a table: fetched, verified, and told what it did not see."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from serving_world import NOW, ROOT, WorldTables, deploy

from sluice.batch import ChampionScores, score_with_champion
from sluice.errors import FeatureError, IntegrityError, RegistryError
from sluice.features.schema import to_matrix
from sluice.ingest import ingest
from sluice.registry import Keys, Registry
from sluice.settings.operation import Storage
from sluice.storage import open_store


def registry_of(place: Path, model: str = "fraud") -> Registry:
    store = open_store(Storage(url=str(place / "store")))
    return Registry(store, model, clock=lambda: NOW, actor="test", keys=Keys.ensure(place / "keys"))


def scored(place: Path, world: WorldTables, out: Path, history: Path | None, root: Path = ROOT) -> ChampionScores:
    """The world's whole table."""
    return score_with_champion(registry_of(place), str(world.source), out, now=NOW, history=history, root=root)


def test_the_champion_scores_what_the_offline_computation_does(world: WorldTables, tmp_path: Path) -> None:
    version = deploy(world.use_case, tmp_path)
    ingest(world.use_case, source=str(world.source), now=NOW).write(tmp_path / "history")

    found = scored(tmp_path, world, tmp_path / "out.parquet", tmp_path / "history")

    assert (found.version, found.warnings) == (version.digest, ())
    table = pl.read_parquet(found.file.path).join(world.day, on="event_id", how="semi")
    expected = world.rows.select("event_id").with_columns(
        offline=pl.Series(version.graph.score(to_matrix(version.schema, world.rows)))
    )
    both = table.join(expected, on="event_id")
    assert both.height == world.day.height
    assert both.get_column("score").equals(both.get_column("offline"), null_equal=False)


def test_windows_over_labels_that_saw_none_are_named(world: WorldTables, tmp_path: Path) -> None:
    deploy(world.use_case, tmp_path)
    warnings = scored(tmp_path, world, tmp_path / "out.parquet", None).warnings
    risks = "terminal_risk_1d, terminal_risk_7d, terminal_risk_30d"
    assert warnings == (f"no history was given, so the windows over labels saw none: {risks}",)


def test_without_a_champion_or_with_other_windows_nothing_is_written(world: WorldTables, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no champion"):
        scored(tmp_path, world, tmp_path / "out.parquet", None)
    version = deploy(world.use_case, tmp_path)
    with pytest.raises(FeatureError, match="no Feast repository"):
        scored(tmp_path, world, tmp_path / "out.parquet", None, root=tmp_path)
    model = (version.folder / "model.onnx").read_bytes()
    stored = (path for path in (tmp_path / "store").rglob("*") if path.is_file())
    graph = next(path for path in stored if path.read_bytes() == model)
    graph.write_bytes(model + b" ")
    with pytest.raises(IntegrityError):
        scored(tmp_path, world, tmp_path / "out.parquet", None)
    assert not (tmp_path / "out.parquet").exists()
