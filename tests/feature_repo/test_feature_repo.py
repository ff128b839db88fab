"""The repository as somebody meets it who knows only Feast."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from feast import FeatureStore

from sluice.errors import FeatureError
from sluice.simulate import World, simulate

ROOT = Path(__file__).parents[2]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, EXACT = timedelta(hours=1), timedelta(microseconds=1)

pytestmark = pytest.mark.filterwarnings("ignore:Stream feature views are experimental:RuntimeWarning")


@pytest.fixture(scope="module")
def world() -> pl.DataFrame:
    raw, _ = simulate(World(days=40, cards=10, terminals=6, radius=60.0, terminal_rate=0.02), 11)
    return raw.select(
        event_id=pl.format("t{}", pl.col("transaction_id").cast(pl.String).str.zfill(7)),
        event_time="time",
        arrival="time",
        card=pl.format("c{}", "card_id"),
        terminal=pl.format("m{}", "terminal_id"),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64),
        label=pl.col("fraud").cast(pl.Float64),
        label_time="fraud_known_at",
    ).sort("event_time", "event_id")


LIMITS = """
from feast import FeatureService, FeatureView, Field, FileSource
from feast.types import Float64, String
from features import card, card_id, card_windows

limits_file = FileSource(name="limits", path="data/limits.parquet", timestamp_field="set_at",
                         created_timestamp_column="entered_at")
limits = FeatureView(name="limits", entities=[card_id], source=limits_file,
                     schema=[Field(name="card", dtype=String), Field(name="limit", dtype=Float64)])
fraud_v2 = FeatureService(name="fraud_v2", features=[card, limits])
"""


@pytest.fixture(scope="module")
def applied(world: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with data in its declared places and one view more, applied by `feast apply`."""
    folder = tmp_path_factory.mktemp("repo") / "feature_repo"
    shutil.copytree(ROOT / "feature_repo", folder, ignore=shutil.ignore_patterns("data", "__pycache__"))
    (folder / "limits.py").write_text(LIMITS)
    (folder / "data").mkdir()
    world.drop("label", "label_time").write_parquet(folder / "data" / "events.parquet")
    columns = ["event_id", "label", "label_time", "event_time", "card", "terminal"]
    world.select(columns).sort("label_time", "event_id").write_parquet(folder / "data" / "labels.parquet")
    day = datetime(2018, 4, 10, tzinfo=UTC)
    pl.DataFrame(
        {
            "card": ["c1", "c1", "c2"],
            "limit": [100.0, 900.0, 500.0],
            "set_at": [day, day + timedelta(days=5), day],
            # The second limit was entered ten days after the day that it is said to hold from.
            "entered_at": [day, day + timedelta(days=15), day],
        }
    ).write_parquet(folder / "data" / "limits.parquet")
    feast = Path(sys.executable).with_name("feast")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([feast, "apply"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def store(applied: Path) -> Iterator[FeatureStore]:
    yield FeatureStore(repo_path=str(applied))


def by_hand(world: pl.DataFrame, key: str, value: str, t: datetime, days: int, event_id: str | None) -> dict[str, Any]:
    """Counts and means up to and including `t`; with an event id, up to that event."""
    rows = world.filter(pl.col(key) == value).to_dicts()
    hop = EXACT if key == "card" else HOUR

    def inside(time: datetime) -> bool:
        return bool((time - EPOCH) // hop > (t - timedelta(days=days) - EPOCH) // hop)

    last = (t, event_id if event_id is not None else chr(0x10FFFF))
    seen = [r for r in rows if (r["event_time"], r["event_id"]) <= last and inside(r["event_time"])]
    known = [r["label"] for r in rows if r["label_time"] <= t and inside(r["label_time"])]
    amounts = [r["amount"] for r in seen]
    return {
        "count": len(seen),
        "mean": sum(amounts) / len(amounts) if amounts else None,
        "risk": sum(known) / len(known) if known else None,
    }


def none_for_nan(value: Any) -> Any:
    return None if pd.isna(value) else value


def test_any_entity_at_any_time(store: FeatureStore, world: pl.DataFrame) -> None:
    chance = random.Random(2)
    start = datetime(2018, 4, 1, tzinfo=UTC)
    times = [start + timedelta(seconds=chance.randrange(40 * 86_400)) for _ in range(40)]
    frame = pd.DataFrame(
        {
            "card": [f"c{chance.randrange(12)}" for _ in times],
            "terminal": [f"m{chance.randrange(8)}" for _ in times],
            "event_timestamp": times,
        }
    )
    answered = store.get_historical_features(frame, store.get_feature_service("fraud_v1")).to_df()
    assert answered["event_timestamp"].tolist() == times
    for row in answered.to_dict("records"):
        t = row["event_timestamp"].to_pydatetime()
        for days in (1, 7, 30):
            card = by_hand(world, "card", row["card"], t, days, None)
            terminal = by_hand(world, "terminal", row["terminal"], t, days, None)
            assert row[f"card_count_{days}d"] == card["count"]
            assert none_for_nan(row[f"card_amount_mean_{days}d"]) == card["mean"]
            assert row[f"terminal_count_{days}d"] == terminal["count"]
            assert none_for_nan(row[f"terminal_risk_{days}d"]) == terminal["risk"]


def test_an_event_id_orders_ties(store: FeatureStore, world: pl.DataFrame) -> None:
    sample = world.sample(25, seed=4)
    frame = sample.select("card", "event_id", event_timestamp="event_time").to_pandas()
    answered = store.get_historical_features(frame, ["card:card_count_7d"]).to_df()
    for row in answered.to_dict("records"):
        t = row["event_timestamp"].to_pydatetime()
        assert row["card_count_7d"] == by_hand(world, "card", row["card"], t, 7, row["event_id"])["count"]


def test_full_feature_names_and_column_order(store: FeatureStore, world: pl.DataFrame) -> None:
    frame = world.head(2).select("card", event_timestamp="event_time").to_pandas()
    wanted = ["card:card_count_30d", "card:card_count_1d"]
    named = store.get_historical_features(frame, wanted, full_feature_names=True).to_df()
    assert list(named.columns) == ["card", "event_timestamp", "card__card_count_1d", "card__card_count_30d"]


@pytest.fixture
def limits_frame() -> pd.DataFrame:
    day = datetime(2018, 4, 10, tzinfo=UTC)
    cards = ["c1", "c2", "c1", "c1", "c1", "c3"]
    days = [-1, 1, 1, 6, 16, 6]
    times = [day + timedelta(days=n) for n in days]
    return pd.DataFrame({"card": cards, "event_timestamp": times, "event_id": [f"z{i}" for i in range(6)]})


def test_an_ordinary_view_joins_beside_the_windows(store: FeatureStore, limits_frame: pd.DataFrame) -> None:
    service = store.get_feature_service("fraud_v2")
    joined = store.get_historical_features(limits_frame, service, filter_by_created_timestamp=True).to_df()
    assert joined["card"].tolist() == limits_frame["card"].tolist()
    assert [none_for_nan(v) for v in joined["limit"]] == [None, 500.0, 100.0, 100.0, 900.0, None]
    assert joined["card_count_30d"].tolist()[-2] > 0


def test_a_late_value_joined_too_early_is_caught(store: FeatureStore, limits_frame: pd.DataFrame) -> None:
    leaking = store.get_historical_features(limits_frame, ["limits:limit"]).to_df()["limit"].tolist()
    honest = store.get_historical_features(limits_frame, ["limits:limit"], filter_by_created_timestamp=True).to_df()
    assert [i for i, (a, b) in enumerate(zip(leaking, honest["limit"], strict=True)) if a != b and not pd.isna(b)] == [
        3
    ]


def test_a_frame_without_the_entity_is_told(store: FeatureStore) -> None:
    frame = pd.DataFrame({"card": ["c1"], "event_timestamp": [datetime(2018, 5, 1, tzinfo=UTC)]})
    with pytest.raises(FeatureError, match="terminal"):
        store.get_historical_features(frame, store.get_feature_service("fraud_v1"))


def test_a_missing_source_is_told(applied: Path, store: FeatureStore) -> None:
    frame = pd.DataFrame({"card": ["c1"], "event_timestamp": [datetime(2018, 5, 1, tzinfo=UTC)]})
    hidden = applied / "data" / "events.hidden"
    (applied / "data" / "events.parquet").rename(hidden)
    try:
        with pytest.raises(FeatureError, match=r"events\.parquet cannot be read"):
            store.get_historical_features(frame, ["card:card_count_1d"])
    finally:
        hidden.rename(applied / "data" / "events.parquet")


def test_what_feast_lists(store: FeatureStore) -> None:
    assert {view.name for view in store.list_stream_feature_views()} == {"card", "terminal", "terminal_risk"}
    plain = {view.name for view in store.list_feature_views()}
    assert {"card_state", "terminal_state", "terminal_risk_state", "streams_state"} <= plain
    assert [a.name for a in store.get_stream_feature_view("terminal_risk").aggregations] == [
        f"terminal_risk_{d}d" for d in (1, 7, 30)
    ]
