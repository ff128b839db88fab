"""Features at serving: equal to history bit for bit, each event counted once, whatever the order of delivery."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from feast import FeatureStore

from sluice.errors import FeatureError, RequestError
from sluice.features.historical import feature_rows
from sluice.features.lookup import Requests
from sluice.features.online import Composed, OnlineFeatures
from sluice.features.repository import quiet_feast
from sluice.features.schema import FeatureColumn, FeatureSchema, to_matrix
from sluice.settings import UseCase

Tables = tuple[pl.DataFrame, pl.DataFrame]
Case = Callable[..., UseCase]
CUT = 600


def micro(series: pl.Series) -> np.ndarray:
    return series.to_physical().to_numpy()


def requests(table: pl.DataFrame, as_of: bool = True) -> Requests:
    entities = {name: table[name].to_list() for name in ("card", "terminal")}
    values = {"amount": table["amount"].to_list()}
    arrival = micro(table["arrival"]) if as_of else None
    return Requests(table["event_id"].to_list(), micro(table["event_time"]), entities, values, arrival)


def differences(composed: Composed, rows: pl.DataFrame) -> list[str]:
    """Names of features that are not the same bits."""
    expected = {n: rows[n].cast(pl.Float64).to_numpy() for n in composed.columns}
    return [n for n, values in composed.columns.items() if not np.array_equal(values, expected[n], equal_nan=True)]


def history(tables: Tables, cut: int = CUT) -> tuple[Tables, pl.DataFrame, pl.DataFrame]:
    """What had arrived at an instant; then the events after it in order of arrival; then the labels after it."""
    events, labels = tables
    now = events["event_time"][cut]
    known = events.filter(pl.col("arrival") < now), labels.filter(pl.col("label_time") < now)
    coming = events.filter(pl.col("arrival") >= now).sort("arrival", "event_time", "event_id")
    return known, coming, labels.filter(pl.col("label_time") >= now)


@pytest.fixture(scope="module")
def rows(use_case: UseCase, tables: Tables) -> pl.DataFrame:
    return feature_rows(use_case, *tables)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def started(
    request: pytest.FixtureRequest, make_case: Case, tables: Tables, tmp_path_factory: pytest.TempPathFactory
) -> OnlineFeatures:
    """State as of the cut, in either store."""
    online: dict[str, Any] = {"store": request.param}
    if request.param == "redis":
        online["address"] = request.getfixturevalue("redis_address")
    opened = OnlineFeatures.open(make_case(online=online), tmp_path_factory.mktemp("online"))
    opened.materialise(*history(tables)[0])
    return opened


@pytest.fixture
def online(use_case: UseCase, tables: Tables, tmp_path: Path) -> OnlineFeatures:
    opened = OnlineFeatures.open(use_case, tmp_path)
    opened.materialise(*history(tables)[0])
    return opened


def replay(online: OnlineFeatures, coming: pl.DataFrame, labels: pl.DataFrame) -> Iterator[tuple[int, Composed]]:
    """Events as they come: labels that arrived by then are applied, the event is scored, then applied."""
    done = 0
    for i in range(coming.height):
        event = coming[i : i + 1]
        upto = int(labels["label_time"].search_sorted(event["arrival"][0], side="right"))
        if upto > done:
            online.apply(None, labels[done:upto])
            done = upto
        yield i, online.compose(requests(event))
        online.apply(event)


def test_replay_equals_history(started: OnlineFeatures, tables: Tables, rows: pl.DataFrame) -> None:
    _, coming, labels = history(tables)
    expected = coming.select("event_id").join(rows, on="event_id", maintain_order="left")
    for i, composed in replay(started, coming.head(150), labels):
        assert differences(composed, expected[i : i + 1]) == []
        assert not composed.repeated[0]
        assert composed.stale == [()]


def test_entities_without_state_are_told_in_either_store(started: OnlineFeatures, tables: Tables) -> None:
    row = tables[0].tail(1)
    stranger = started.compose(requests(row.with_columns(card=pl.lit("a stranger"))))
    assert (started.compose(requests(row)).unknown, stranger.unknown) == ([()], [("card",)])


def test_lagging_and_shuffled_updates_equal_what_had_arrived(use_case: UseCase, tables: Tables, tmp_path: Path) -> None:
    known, coming, labels = history(tables)
    online = OnlineFeatures.open(use_case, tmp_path)
    online.materialise(*known)
    random_order = random.Random(5)
    for start in range(0, 120, 15):
        asked = coming[start + 15 : start + 25].sort("event_time", "event_id")
        batch = coming[start : start + 15]
        order = random_order.sample(range(15), 15)
        online.apply(batch[order[:8]])
        online.apply(batch[order[4:]])
        seen = pl.concat([known[0], coming[: start + 15]]).sort("event_time", "event_id")
        composed = online.compose(requests(asked))
        # Each was asked beside the others: none of them had been applied.
        expected = pl.concat(
            feature_rows(use_case, pl.concat([seen, row]).sort("event_time", "event_id"), known[1], questions=row)
            for row in asked.iter_slices(1)
        )
        assert differences(composed, expected) == []
    assert labels.height


def test_concurrent_updates_and_readers(use_case: UseCase, tables: Tables, rows: pl.DataFrame, tmp_path: Path) -> None:
    (events, labels), coming, _ = history(tables)
    online = OnlineFeatures.open(use_case, tmp_path)
    online.materialise(events, labels)
    errors: list[BaseException] = []
    other = OnlineFeatures.open(use_case, tmp_path)

    def update(updater: OnlineFeatures, part: pl.DataFrame) -> None:
        try:
            for row in part.iter_slices(5):
                updater.apply(row)
                updater.compose(requests(row))
        except BaseException as error:
            errors.append(error)

    part = coming.head(60)
    threads = [
        threading.Thread(target=update, args=(updater, part[i::3])) for i, updater in enumerate((online, other, online))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    after = coming[60:61]
    world = pl.concat([events, part, after]).sort("event_time", "event_id")
    assert differences(online.compose(requests(after)), feature_rows(use_case, world, labels, questions=after)) == []
    assert rows.height


def test_scored_then_applied_and_applied_then_scored_count_once(
    online: OnlineFeatures, tables: Tables, rows: pl.DataFrame
) -> None:
    _, coming, _ = history(tables)
    event = coming.head(1)
    first = online.compose(requests(event))
    again = online.compose(requests(event))
    online.apply(event)
    online.apply(event)
    after = online.compose(requests(event))
    expected = event.select("event_id").join(rows, on="event_id")
    for composed in (first, again, after):
        assert differences(composed, expected) == []
    assert [first.repeated[0], again.repeated[0], after.repeated[0]] == [False, False, True]


def test_state_ahead_of_the_request_is_flagged(online: OnlineFeatures, tables: Tables) -> None:
    _, coming, _ = history(tables)
    card = coming["card"][0]
    mine = coming.filter(pl.col("card") == card)
    assert not online.compose(requests(mine[0:1])).ahead[0]
    online.apply(mine[1:3])
    assert online.compose(requests(mine[0:1])).ahead[0]


def test_unknown_entities_are_marked(online: OnlineFeatures, tables: Tables) -> None:
    event = history(tables)[1].head(1)
    composed = online.compose(requests(pl.concat([event, event.with_columns(card=pl.lit("never seen"))])))
    assert composed.unknown == [(), ("card",)]
    assert composed.columns["card_count_30d"][1] == 1


def test_staleness_is_the_updaters_not_the_cards(online: OnlineFeatures, tables: Tables) -> None:
    event = history(tables)[1].head(1)
    later = event.with_columns(pl.col("event_time", "arrival") + timedelta(days=5))
    assert online.compose(requests(event)).stale == [()]
    assert online.compose(requests(later)).stale == [("events", "labels")]
    online.apply(until_us=int(micro(later["arrival"])[0]))
    assert online.compose(requests(later)).stale == [()]


def test_state_survives_a_restart(online: OnlineFeatures, use_case: UseCase, tables: Tables, tmp_path: Path) -> None:
    event = history(tables)[1].head(1)
    before = online.compose(requests(event))
    after = OnlineFeatures.open(use_case, tmp_path).compose(requests(event))
    assert before.matrix.tobytes() == after.matrix.tobytes()
    assert online.watermarks() == OnlineFeatures.open(use_case, tmp_path).watermarks()


def test_a_corrected_label_takes_the_old_one_out(use_case: UseCase, tables: Tables, tmp_path: Path) -> None:
    (events, labels), coming, _ = history(tables)
    online = OnlineFeatures.open(use_case, tmp_path)
    online.materialise(events, labels)
    wrong = labels.tail(3)
    now = coming["event_time"][0]
    corrected = wrong.with_columns(label=1 - pl.col("label"), label_time=pl.lit(now).dt.cast_time_unit("us"))
    online.apply(None, corrected)
    online.apply(None, corrected)
    world = pl.concat([labels, corrected]).sort("label_time", "event_id")
    asked = pl.concat(
        coming.head(1).with_columns(
            terminal=pl.lit(t), event_time=now + timedelta(hours=1), arrival=now + timedelta(hours=1)
        )
        for t in wrong["terminal"].unique()
    )
    for row in asked.iter_slices(1):
        expected = feature_rows(use_case, pl.concat([events, row]), world, questions=row)
        untouched = feature_rows(use_case, pl.concat([events, row]), labels, questions=row)
        assert differences(online.compose(requests(row)), expected) == []
        assert expected["terminal_risk_30d"].to_list() != untouched["terminal_risk_30d"].to_list()


def test_a_second_materialisation_leaves_newer_state_alone(online: OnlineFeatures, tables: Tables) -> None:
    known, coming, _ = history(tables)
    event = coming.head(1)
    online.apply(event)
    before = online.compose(requests(coming[1:2])).matrix.tobytes()
    outcome = online.materialise(*known)
    assert outcome.kept == 2
    assert online.compose(requests(coming[1:2])).matrix.tobytes() == before


def test_history_is_read_by_someone_who_knows_only_feast(online: OnlineFeatures, tmp_path: Path) -> None:
    with quiet_feast():
        store = FeatureStore(repo_path=str(tmp_path))
        found = store.get_online_features(["card_state:time", "card_state:tile_index"], [{"card": "c1"}]).to_dict()
    assert found["time"][0] <= online.watermarks()["events"]


def test_the_matrix_is_the_one_of_training(
    use_case: UseCase, online: OnlineFeatures, tables: Tables, tmp_path: Path
) -> None:
    asked = history(tables)[1].head(1)
    schema = FeatureSchema((FeatureColumn("amount"), FeatureColumn("terminal_risk_1d", fill=-1.0)))
    composed = OnlineFeatures.open(use_case, tmp_path, schema).compose(requests(asked))
    rows = feature_rows(use_case, *tables, questions=asked)
    assert composed.matrix.dtype == np.float32
    assert composed.features == ["amount", "terminal_risk_1d"]
    assert composed.matrix.tobytes() == to_matrix(schema, rows).tobytes()
    assert online.schema.names != schema.names


def test_a_version_that_wants_other_features_is_refused(use_case: UseCase, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="card_count_2d"):
        OnlineFeatures.open(use_case, tmp_path, FeatureSchema((FeatureColumn("card_count_2d"),)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entities": {"card": ["c1"]}}, "terminal: missing"),
        ({"values": {}}, "amount: missing"),
        ({"values": {"amount": [1.5]}}, "whole"),
        ({"values": {"amount": ["much"]}}, "amount"),
    ],
)
def test_wrong_requests_name_the_field(online: OnlineFeatures, change: dict[str, Any], said: str) -> None:
    right: dict[str, Any] = {"entities": {"card": ["c1"], "terminal": ["m1"]}, "values": {"amount": [100]}}
    with pytest.raises(RequestError, match=said):
        online.compose(Requests(["x"], np.array([1_530_000_000_000_000]), **(right | change)))


def test_redis_that_is_gone_is_told(make_case: Case, tmp_path: Path) -> None:
    case = make_case(online={"store": "redis", "address": "127.0.0.1:1"})
    opened = OnlineFeatures.open(case, tmp_path)
    with pytest.raises(FeatureError, match="online store does not answer"):
        opened.watermarks()
