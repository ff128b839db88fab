"""Feature rows of history, and the leaks that must not be in them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sluice.errors import DataError, FeatureError, SettingsError
from sluice.features.historical import feature_names, feature_rows
from sluice.settings import UseCase

Tables = tuple[pl.DataFrame, pl.DataFrame]
Case = Callable[..., UseCase]
Brute = Callable[..., dict[str, float | None]]
WINDOWS = [
    *(f"card_count_{d}d" for d in (1, 7, 30)),
    *(f"card_amount_mean_{d}d" for d in (1, 7, 30)),
    *(f"terminal_count_{d}d" for d in (1, 7, 30)),
    *(f"terminal_risk_{d}d" for d in (1, 7, 30)),
]


@pytest.fixture(scope="module")
def rows(use_case: UseCase, tables: Tables) -> pl.DataFrame:
    return feature_rows(use_case, *tables)


def test_columns_come_in_the_order_of_service_and_settings(use_case: UseCase, rows: pl.DataFrame) -> None:
    names = [*WINDOWS, "amount", "weekend", "night", "ratio"]
    assert rows.columns == ["event_id", "event_time", "arrival", "card", "terminal", *names]
    assert feature_names(use_case) == names
    assert set(rows.select(names).dtypes) == {pl.Float64}


def test_windows_equal_a_count_by_hand(tables: Tables, rows: pl.DataFrame, brute: Brute) -> None:
    events, labels = tables
    for i in random.Random(0).sample(range(events.height), 60):
        expected = brute(events, labels, events.row(i, named=True))
        assert rows.select(WINDOWS).row(i, named=True) == expected


def test_request_features_use_windows_and_values(tables: Tables, rows: pl.DataFrame) -> None:
    assert rows["amount"].to_list() == tables[0]["amount"].to_list()
    ratio = rows["amount"] / rows["card_amount_mean_7d"]
    assert rows["ratio"].to_list() == ratio.to_list()
    assert rows["weekend"].to_list() == [float(d >= 6) for d in tables[0]["event_time"].dt.weekday()]


def test_questions_are_answered_in_their_own_order(use_case: UseCase, tables: Tables, rows: pl.DataFrame) -> None:
    asked = tables[0].sample(50, shuffle=True, seed=1)
    answered = feature_rows(use_case, *tables, questions=asked)
    expected = asked.select("event_id").join(rows, on="event_id", how="left", maintain_order="left")
    assert answered.equals(expected)


def test_without_a_repository_there_are_request_features_only(make_case: Case, tables: Tables) -> None:
    case = make_case(repo=None, service=None, request=[{"kind": "value", "name": "amount", "column": "amount"}])
    assert feature_rows(case, *tables).columns[5:] == ["amount"]


def test_categories_are_strings(make_case: Case, tables: Tables) -> None:
    document = make_case().model_dump(mode="json", by_alias=True)
    document["data"]["columns"]["values"]["kind"] = {"type": "category"}
    document["features"] |= {
        "repo": None,
        "service": None,
        "request": [{"kind": "value", "name": "kind", "column": "kind"}],
    }
    events = tables[0].with_columns(kind=pl.Series([["pos", None, "web"][i % 3] for i in range(tables[0].height)]))
    rows = feature_rows(UseCase.model_validate(document), events, tables[1])
    assert rows["kind"].to_list() == events["kind"].to_list()


def test_nothing_is_left_in_the_repository(rows: pl.DataFrame) -> None:
    assert rows.height
    assert not (Path(__file__).parents[2] / "feature_repo" / "data" / "registry.db").exists()


def test_progress_is_told(use_case: UseCase, tables: Tables) -> None:
    told: list[tuple[int, int]] = []

    def progress(step: str, done: int, total: int, note: str = "") -> None:
        assert step or note
        told.append((done, total))

    feature_rows(use_case, *tables, questions=tables[0].head(3), progress=progress)
    assert told[-1] == (3, 3)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"repo": "nowhere"}, FeatureError, "no Feast repository"),
        ({"service": "fraud_v9"}, SettingsError, "fraud_v1"),
    ],
)
def test_what_is_not_there_is_named(
    make_case: Case, tables: Tables, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        feature_rows(make_case(**change), *tables)


def test_a_missing_column_is_named(use_case: UseCase, tables: Tables) -> None:
    with pytest.raises(DataError, match="amount"):
        feature_rows(use_case, tables[0].drop("amount"), tables[1])


# Leaks. A row may be computed from what had arrived when it was asked, and from nothing else: whoever computes it from
# a world that ends at that instant must get the same.


def leaking(use_case: UseCase, rows: pl.DataFrame, events: pl.DataFrame, labels: pl.DataFrame) -> set[str]:
    """The features that differ when each sampled row is computed again in a world that ends when it was asked."""
    found: set[str] = set()
    for i in random.Random(1).sample(range(events.height // 2, events.height), 6):
        asked = events[i : i + 1]
        now = asked["arrival"][0]
        world = events.filter(pl.col("arrival") <= now), labels.filter(pl.col("label_time") <= now)
        again = feature_rows(use_case, *world, questions=asked)
        found |= {n for n in WINDOWS if again[n][0] != rows[n][i]}
    return found


def test_no_feature_leaks(use_case: UseCase, tables: Tables, rows: pl.DataFrame) -> None:
    assert leaking(use_case, rows, *tables) == set()


def test_a_window_that_sees_its_future_is_caught(use_case: UseCase, tables: Tables) -> None:
    events, labels = tables
    tomorrow = pl.col("event_time") + pl.duration(hours=20)
    planted = feature_rows(
        use_case, events, labels, questions=events.with_columns(event_time=tomorrow, arrival=tomorrow)
    )
    assert {"card_count_1d", "terminal_count_1d"} <= leaking(use_case, planted, events, labels)


def test_a_label_used_before_it_arrived_is_caught(use_case: UseCase, tables: Tables) -> None:
    events, labels = tables
    planted = feature_rows(use_case, events, labels.with_columns(label_time=pl.col("event_time")))
    assert leaking(use_case, planted, events, labels) >= {"terminal_risk_7d"}


def test_an_event_used_before_it_arrived_is_caught(use_case: UseCase, tables: Tables) -> None:
    events, labels = tables
    late = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.duration(days=2)).otherwise(pl.duration())
    delayed = events.with_columns(arrival=pl.col("event_time") + late)
    on_time = events.with_columns(arrival=pl.col("event_time"))
    planted = feature_rows(use_case, on_time, labels, questions=delayed.with_columns(arrival=pl.col("event_time")))
    questions = delayed.with_columns(arrival=pl.col("event_time"))
    honest = feature_rows(use_case, delayed, labels, questions=questions)
    differing = {n for n in WINDOWS if honest[n].to_list() != planted[n].to_list()}
    assert differing >= {"card_count_1d", "terminal_count_1d"}


def test_spark_gives_the_same_rows(spark: Any, make_case: Case, tables: Tables, rows: pl.DataFrame) -> None:
    found = feature_rows(make_case(engine="spark", spark={"rows_per_cell": 300}), *tables)
    assert found.equals(rows, null_equal=True)
