"""The reference of a version: drawn at training time, found beside its decision, and without whom was forgotten."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from watched import case

from sluice.errors import WatchError
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.registry import Registry, forget
from sluice.settings.operation import Storage
from sluice.storage import open_store
from sluice.watch.reference import REFERENCE, read_reference
from sluice.watch.sampling import reference_rows

OLD = Path(__file__).parents[1] / "registry/store-format-1/store"
START = datetime(2018, 7, 1, tzinfo=UTC)
SCHEMA = FeatureSchema((FeatureColumn("amount"), FeatureColumn("shop", "category", vocabulary=("a",))))


class Doubling:
    """A graph whose score is a thousandth of the first feature."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """float32 [rows]."""
        return np.asarray(matrix[:, 0] / 1000, dtype=np.float32)


def rows(first: int, days: int) -> pl.DataFrame:
    """One row a day."""
    number = np.arange(first, first + days)
    return pl.DataFrame(
        {
            "event_id": [str(n) for n in number],
            "event_time": [START + timedelta(days=int(n)) for n in number],
            "card": [f"card {n % 3}" for n in number],
            "terminal": ["t"] * days,
            "amount": number.astype(np.float64),
            "shop": ["a", None] * (days // 2),
            "label": np.zeros(days),
        }
    )


def drawn(**settings: object) -> pl.DataFrame:
    """The reference of 60 train and 10 validation days."""
    return reference_rows(case(**settings), Doubling(), SCHEMA, rows(0, 60), rows(60, 10))


def test_it_holds_the_last_days_with_their_scores_and_what_the_model_did_not_learn_from() -> None:
    found = drawn(watch__reference="42d")
    assert found.columns == ["event_id", "event_time", "card", "terminal", "amount", "shop", "held_out", "score"]
    assert found["amount"].to_list() == list(range(28, 70))
    assert found["held_out"].to_list() == [False] * 32 + [True] * 10
    assert found["score"].to_list() == pytest.approx([n / 1000 for n in range(28, 70)])
    assert found.schema["amount"] == found.schema["score"] == pl.Float32


def test_it_is_drawn_with_the_seed() -> None:
    found = drawn(watch__reference="70d", watch__reference_rows=500)
    assert found.height == 70
    assert found.equals(drawn(watch__reference="70d", watch__reference_rows=500))


def test_it_is_found_beside_the_decision_and_a_person_is_forgotten_from_it(tmp_path: Path) -> None:
    registry = Registry(open_store(Storage(url=str(tmp_path / "store"))), "fraud", clock=_now, actor="gate")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "model.onnx").write_text("graph")
    version = registry.add_version(tmp_path / "v", {}).digest
    drawn().write_parquet(tmp_path / REFERENCE)
    registry.settle("promoted", version=version, against=None, evidence={REFERENCE: tmp_path / REFERENCE})
    assert read_reference(registry, version).equals(drawn())
    forget(registry, entity="card", key="card 1", reason="request 4")
    assert set(read_reference(registry, version)["card"]) == {"card 0", "card 2"}


def test_a_version_of_an_earlier_release_says_that_it_has_none(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "store")
    registry = Registry(open_store(Storage(url=str(tmp_path / "store"))), "fraud", clock=_now, actor="reader")
    champion = registry.champion()
    assert champion is not None
    with pytest.raises(WatchError, match="has no reference to compare with") as refused:
        read_reference(registry, champion.digest)
    assert "sluice run" in refused.value.hint


def _now() -> datetime:
    return datetime(2027, 1, 1, tzinfo=UTC)
