"""A store written by the first release is read by this one: state, story, evidence, runs and signatures."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from sluice.registry import Keys, Registry, RunLog, verify
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store

KEPT = Path(__file__).parent / "store-format-1"


@pytest.fixture
def old(tmp_path: Path) -> Store:
    """A copy, so that the kept one stays as it is."""
    shutil.copytree(KEPT / "store", tmp_path / "store")
    return open_store(Storage(url=str(tmp_path / "store")))


def test_the_old_store_is_read_and_sound(old: Store, tmp_path: Path) -> None:
    keys = Keys.open(KEPT / "keys")
    result = verify(old, keys)
    assert result.problems == ()
    assert result.checked["decisions"] == 7
    registry = Registry(old, "fraud", clock=lambda: datetime(2027, 1, 1, tzinfo=UTC), actor="reader", keys=keys)
    kinds = [decision.kind for decision in registry.log()]
    assert kinds == ["opened", "promoted", "awaiting-approval", "approved", "rolled-back", "pinned", "forgotten"]
    state = registry.state()
    assert state.live == (registry.log()[1].version,)
    assert state.pinned is not None
    assert state.pinned.reason == "audit until May"
    assert registry.openings("5ea1" * 16) == 1
    champion = registry.fetch_champion(tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").read_text() == "graph a"
    assert champion.document == {"settings": "a"}
    assert "complaints from the call centre" in registry.why()["text"]
    scores = pl.read_parquet(io.BytesIO(registry.evidence(registry.log()[1], "sealed_scores.parquet")))
    assert scores["card"].to_list() == ["person two"]
    runs = RunLog(old, "fraud", clock=lambda: datetime(2027, 1, 1, tzinfo=UTC)).list()
    assert [(run.status, run.seed) for run in runs] == [("running", 8), ("promoted", 7)]


def test_the_old_store_can_be_written_on(old: Store) -> None:
    registry = Registry(old, "fraud", clock=lambda: datetime(2027, 1, 1, tzinfo=UTC), actor="reader")
    registry.unpin(reason="the audit is over")
    assert registry.state().pinned is None
    assert verify(old).sound
