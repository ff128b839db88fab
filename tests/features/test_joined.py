"""An ordinary feature view beside the windows: the same value in history and at serving."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sluice.features.historical import feature_names, feature_rows
from sluice.features.lookup import Requests
from sluice.features.online import OnlineFeatures
from sluice.settings import UseCase

Tables = tuple[pl.DataFrame, pl.DataFrame]
ROOT = Path(__file__).parents[2]

LIMITS = """
from feast import FeatureService, FeatureView, Field, FileSource
from feast.types import Float64, String
from features import card, card_id, terminal

limits_file = FileSource(name="limits", path="data/limits.parquet", timestamp_field="set_at",
                         created_timestamp_column="entered_at")
limits = FeatureView(name="limits", entities=[card_id], source=limits_file,
                     schema=[Field(name="card", dtype=String), Field(name="limit", dtype=Float64),
                             Field(name="tier", dtype=String)])
fraud_v2 = FeatureService(name="fraud_v2", features=[card, limits, terminal])
"""


@pytest.fixture
def case(make_case: Callable[..., UseCase], tables: Tables, tmp_path: Path) -> UseCase:
    repo = tmp_path / "repo"
    shutil.copytree(ROOT / "feature_repo", repo, ignore=shutil.ignore_patterns("data", "__pycache__"))
    (repo / "limits.py").write_text(LIMITS)
    (repo / "data").mkdir()
    start, middle = tables[0]["event_time"][0], tables[0]["event_time"][600]
    later = middle + timedelta(days=3)
    pl.DataFrame(
        {
            "card": ["c1", "c1", "c2"],
            "limit": [100.0, 900.0, 500.0],
            "tier": ["low", "high", "mid"],
            "set_at": [start, middle - timedelta(days=1), start],
            "entered_at": [start, later, start],
        }
    ).write_parquet(repo / "data" / "limits.parquet")
    return make_case(repo=str(repo), service="fraud_v2", request=[])


def test_history_and_serving_agree(case: UseCase, tables: Tables, tmp_path: Path) -> None:
    events, labels = tables
    names = feature_names(case)
    assert names[6:8] == ["limit", "tier"]
    now = events["event_time"][600]
    online = OnlineFeatures.open(case, tmp_path / "online")
    online.materialise(events.filter(pl.col("arrival") < now), labels.filter(pl.col("label_time") < now))
    asked = events.filter(pl.col("arrival") >= now).head(30)
    rows = feature_rows(case, *tables, questions=asked)
    entities = {name: asked[name].to_list() for name in ("card", "terminal")}
    times = asked["event_time"].to_physical().to_numpy()
    composed = online.compose(
        Requests(asked["event_id"].to_list(), times, entities, {"amount": asked["amount"].to_list()})
    )
    assert composed.columns["tier"].tolist() == rows["tier"].to_list()
    assert np.array_equal(composed.columns["limit"], rows["limit"].to_numpy(), equal_nan=True)
    assert {"low", "mid"} <= set(rows["tier"].drop_nulls().to_list())


def test_a_value_is_served_from_its_arrival_on(case: UseCase, tables: Tables, tmp_path: Path) -> None:
    events, labels = tables
    now = events["event_time"][600]
    online = OnlineFeatures.open(case, tmp_path / "online")
    online.materialise(events.filter(pl.col("arrival") < now), labels.filter(pl.col("label_time") < now))

    def limit() -> float:
        time = np.array([events["event_time"].to_physical()[-1]])
        one = Requests(["x"], time, {"card": ["c1"], "terminal": ["m1"]}, {"amount": [100]})
        return float(online.compose(one).columns["limit"][0])

    assert limit() == 100.0
    after = int((now + timedelta(days=4)).timestamp()) * 1_000_000
    assert online.refresh(after) == 2
    assert limit() == 900.0
    assert online.refresh(after - 2 * 86_400_000_000) == 0
    assert limit() == 900.0
