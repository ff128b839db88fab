"""The updater in this process, against a real Redis: fences, duplicates, late and wrong records, full streams, gaps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from prometheus_client import CollectorRegistry
from servers import Redis, durable_redis
from streamed_world import (
    DAY,
    ROOT,
    Streamed,
    case,
    differences,
    keys_of,
    open_state,
    states,
    streamed,
    updater,
    wrong_features,
)

from sluice.errors import FeatureError, FencedError, SettingsError
from sluice.features.online import OnlineFeatures
from sluice.settings import UseCase
from sluice.updates.fence import HeldUpError
from sluice.updates.producer import FullError, Producer
from sluice.updates.redis_source import RedisSource
from sluice.updates.source import Partition, partition_number, partitions_of, stream_name
from sluice_serving.updater.building import build, rebuilt
from sluice_serving.updater.service import Service

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """One Redis for this file; each test has its own names in it."""
    made = durable_redis(tmp_path_factory.mktemp("redis"))
    made.server.start()
    yield made
    made.server.kill()


@pytest.fixture(scope="module")
def world() -> Streamed:
    return streamed(days=33, cards=40, terminals=20)


@pytest.fixture(autouse=True)
def client(server: Redis) -> Iterator[redis.Redis]:
    """An administrator's; the Redis is empty before each test."""
    host, port = server.address.split(":")
    with redis.Redis(host, int(port)) as opened:
        opened.flushall()
        yield opened


@pytest.fixture
def use_case(server: Redis) -> UseCase:
    return case(server.address)


def materialise(use_case: UseCase, world: Streamed, folder: Path) -> OnlineFeatures:
    """State as of the start of the day."""
    online = OnlineFeatures.open(use_case, folder)
    online.materialise(*world.before())
    return online


def run_down(service: Service) -> None:
    """Turn until nothing is left, and note how far the streams were applied."""
    for _ in range(1000):
        service.turn()
        waiting = [f for f in service.followers if f.hold is not None and f.waiting()]
        if not waiting and all(follower.hold is not None for follower in service.followers):
            break
    else:
        raise AssertionError("it does not come to an end")
    service.look()


def metric(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """The value of a metric of the service fraud_v1."""
    return registry.get_sample_value(f"sluice_updater_{name}", {"service": "fraud_v1", **labels}) or 0.0


def test_duplicates_late_events_and_corrections_end_as_the_sweep(
    use_case: UseCase, world: Streamed, tmp_path: Path
) -> None:
    online = materialise(use_case, world, tmp_path / "online")
    registry = CollectorRegistry()
    service = updater([use_case], tmp_path / "updater", registry=registry)
    delivered = world.delivered(seed=1)
    Producer(use_case).send(delivered)
    run_down(service)
    assert wrong_features(online, use_case, world, world.start + DAY) == []
    events = sum(kind == "event" for kind, _ in delivered)
    new = sum(kind == "event" for kind, _ in world.records)
    assert metric(registry, "applied_total", entity="card", stream="events") == new
    assert metric(registry, "duplicates_total", entity="card", stream="events") == events - new > 0
    assert metric(registry, "late_total", entity="terminal", stream="events") > 0
    assert metric(registry, "lag_records", entity="card", partition="0") == 0
    assert metric(registry, "freshness_seconds_count", entity="card") == len(delivered)
    newest = world.events["arrival"].to_physical().max()
    assert online.watermarks()["events"] == newest


def test_one_updater_feeds_champion_and_challenger_each_in_its_own_state(
    use_case: UseCase, world: Streamed, tmp_path: Path, server: Redis
) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(ROOT / "feature_repo", repo)
    definitions = (repo / "features.py").read_text()
    (repo / "features.py").write_text(
        definitions
        + """
wide_windows = [
    Aggregation(
        column="amount", function="max", time_window=timedelta(days=14), slide_interval=HOUR, name="card_max_14d"
    )
]
wide = StreamFeatureView(
    name="wide", entities=[card_id], source=event_stream, timestamp_field="event_time", aggregations=wide_windows,
    schema=window_fields(card_id, wide_windows), online=False, tags={"stream": "events"},
)
wide_state = state_view(wide, card_id)
fraud_v2 = FeatureService(name="fraud_v2", features=[card, terminal, terminal_risk, wide])
"""
    )
    champion, challenger = (case(server.address, repo=repo, service=f"fraud_v{i}") for i in (1, 2))
    old = materialise(champion, world, tmp_path / "old")
    half = len(world.records) // 2
    producer = Producer(champion)
    producer.send(world.records[:half])
    run_down(updater([champion], tmp_path / "first"))
    before = states(open_state(champion, tmp_path / "old"), keys_of(world))
    # The challenger's state is made while the stream goes on; then one updater follows for both.
    done = rebuilt(challenger, tmp_path / "new", world.before)
    assert done.materialised.written > 0
    assert differences(states(open_state(champion, tmp_path / "old"), keys_of(world)), before) == []
    producer.send(world.records[half:])
    run_down(updater([champion, challenger], tmp_path / "both", name="two"))
    new = OnlineFeatures.open(challenger, tmp_path / "new")
    assert wrong_features(old, champion, world, world.start + DAY) == []
    assert wrong_features(new, challenger, world, world.start + DAY) == []
    assert "card_max_14d" in new.names and "card_max_14d" not in old.names


def test_an_updater_that_was_overtaken_writes_nothing(use_case: UseCase, world: Streamed, tmp_path: Path) -> None:
    materialise(use_case, world, tmp_path / "online")
    registry = CollectorRegistry()
    sleeper = updater([use_case], tmp_path / "sleeper", name="pod", registry=registry)
    sleeper.look()
    (asleep,) = (follower for follower in sleeper.followers if follower.partition == Partition("card", 0))
    held = asleep.hold
    successor = updater([use_case], tmp_path / "successor", name="pod")
    successor.look()
    Producer(use_case).send(world.records[:50])
    before = states(open_state(use_case, tmp_path / "online"), keys_of(world))
    with pytest.raises(FencedError, match="another updater has taken over"):
        asleep.step()
    assert differences(states(open_state(use_case, tmp_path / "online"), keys_of(world)), before) == []
    assert asleep.hold == held
    assert metric(registry, "fenced_total", entity="card") == 1
    assert sum(follower.step() for follower in successor.followers) == 100


def test_a_second_updater_stands_by_until_the_first_lets_go(use_case: UseCase, world: Streamed, tmp_path: Path) -> None:
    materialise(use_case, world, tmp_path / "online")
    first, second = (updater([use_case], tmp_path / name, name=name) for name in ("first", "second"))
    first.look()
    second.look()
    assert [f.hold is not None for f in (*first.followers, *second.followers)] == [True, True, False, False]
    assert (first.why_not_ready, second.why_not_ready) == ("", "")
    for follower in first.followers:
        follower.release()
    second.look()
    assert all(follower.hold is not None for follower in second.followers)


def test_a_row_that_somebody_else_wrote_is_not_overwritten(
    use_case: UseCase, world: Streamed, tmp_path: Path, client: redis.Redis
) -> None:
    materialise(use_case, world, tmp_path / "online")
    service = updater([use_case], tmp_path / "updater")
    service.look()
    events = [record for record in world.records if record[0] == "event"][:1]
    Producer(use_case).send(events)
    card = service.followers[0]
    store = card.opened.store
    original = store.read_all

    def meanwhile(asked: Any) -> Any:
        found = original(asked)
        twin = card.opened.parts[0].twin
        client.hset(store.redis_rows.key(twin, events[0][1]["card"]), store.redis_rows.field(twin, "version"), b"x")
        return found

    store.read_all = meanwhile  # type: ignore[method-assign]
    with pytest.raises(FencedError, match="written by somebody else"):
        card.step()
    assert card.fence.progress().count == 0


def test_what_cannot_be_read_is_set_aside_with_its_reason_and_the_rest_goes_on(
    use_case: UseCase, world: Streamed, tmp_path: Path, client: redis.Redis
) -> None:
    online = materialise(use_case, world, tmp_path / "online")
    stream = stream_name(use_case, Partition("card", 0))
    good = next(content for kind, content in world.records if kind == "event")
    late = {**good, "event_id": "x", "event_time": "2200-01-01T00:00:00Z", "arrival": "2200-01-01T00:00:00Z"}
    wrong = [
        {"event": b"{"},
        {"event": b"[1]"},
        {"something": b"{}"},
        {"event": b'{"event_id": "x"}'},
        {"event": _json({**good, "amount": -1})},
        {"event": _json({**good, "amount": 1e11})},
        {"event": _json(late)},
        {"event": _json({**good, "arrival": "2018-01-01T00:00:00Z"})},
        {"label": _json({"event_id": "x", "card": good["card"], "label": 2, "label_time": good["arrival"]})},
        {"until": b"tomorrow"},
    ]
    for fields in wrong:
        client.xadd(stream, fields)  # type: ignore[arg-type]
    Producer(use_case).send(world.records)
    registry = CollectorRegistry()
    run_down(updater([use_case], tmp_path / "updater", registry=registry))
    assert metric(registry, "refused_total", entity="card") == len(wrong)
    refused: Any = client.xrange(f"{open_state(use_case, tmp_path / 'online').store.project}:refused")
    reasons = [fields[b"reason"].decode() for _, fields in refused]
    said = ["JSON", "JSON", "one field", "card", "amount", "sums are exact", "future", "before its", "label", "instant"]
    assert len(reasons) == len(said)
    assert [word for word, reason in zip(said, reasons, strict=True) if word not in reason] == []
    assert wrong_features(online, use_case, world, world.start + DAY) == []


def test_a_full_stream_takes_nothing_and_drops_nothing(server: Redis, world: Streamed, tmp_path: Path) -> None:
    small = case(server.address, updates={"capacity": 50, "keep": "0s"})
    RedisSource(small).follow(Partition("card", 0), "nobody else")
    online = materialise(small, world, tmp_path / "online")
    service = updater([small], tmp_path / "updater")
    producer = Producer(small)
    producer.send(world.records[:50])
    with pytest.raises(FullError, match="50 records wait"):
        producer.send(world.records[50:51])
    assert RedisSource(small).standing(Partition("card", 0)).added == 50
    _let_go_of(small, "nobody else")
    for start in range(50, len(world.records), 25):
        run_down(service)
        producer.send(world.records[start : start + 25], patience=60.0)
    run_down(service)
    assert wrong_features(online, small, world, world.start + DAY) == []


def test_what_one_follower_has_not_applied_is_held_for_it(server: Redis, world: Streamed, tmp_path: Path) -> None:
    held = case(server.address, updates={"keep": "0s"})
    source = RedisSource(held)
    materialise(held, world, tmp_path / "online")
    source.follow(Partition("card", 0), "a slow one")
    Producer(held).send(world.records)
    run_down(updater([held], tmp_path / "updater"))
    assert source.standing(Partition("card", 0)).dropped == 0
    assert source.standing(Partition("terminal", 0)).dropped > 0


def test_a_state_that_lacks_what_the_stream_let_go_of_is_not_kept_fresh_as_if_nothing_were(
    use_case: UseCase, world: Streamed, tmp_path: Path, client: redis.Redis
) -> None:
    materialise(use_case, world, tmp_path / "online")
    Producer(use_case).send(world.records[:100])
    for partition in partitions_of(use_case):
        client.xtrim(stream_name(use_case, partition), maxlen=60, approximate=False)
    service = updater([use_case], tmp_path / "updater")
    service.look()
    assert "has let go of some records" in service.why_not_ready
    with pytest.raises(HeldUpError, match="history ends before the stream"):
        rebuilt(use_case, tmp_path / "again", world.before)
    newer = world.start + timedelta(hours=23)
    rebuilt(use_case, tmp_path / "again", lambda: world.before(newer))
    service.look()
    assert service.why_not_ready == ""
    first = next(f for f in service.followers if f.hold is not None)
    assert first.hold is not None
    client.xtrim(stream_name(use_case, first.partition), maxlen=0, approximate=False)
    first.release()
    with pytest.raises(HeldUpError, match="has let go of 60 records"):
        first.claim("one")


def test_without_any_state_it_waits_and_says_so(use_case: UseCase, tmp_path: Path) -> None:
    said: list[str] = []
    service = build([use_case], tmp_path, name="one", registry=CollectorRegistry(), say=said.append)
    service.look()
    assert "there is no state of fraud_v1 yet" in said[-1]
    assert service.why_not_ready == ""
    assert [follower.hold for follower in service.followers] == [None, None]


def test_another_number_of_partitions_is_refused(server: Redis, world: Streamed, tmp_path: Path) -> None:
    materialise(case(server.address), world, tmp_path / "online")
    updater([case(server.address)], tmp_path / "one").look()
    service = updater([case(server.address, updates={"partitions": 3})], tmp_path / "three")
    service.look()
    assert "with 1 partitions, the settings say 3" in service.why_not_ready


def test_a_record_in_another_keys_partition_is_refused(
    server: Redis, world: Streamed, tmp_path: Path, client: redis.Redis
) -> None:
    two = case(server.address, updates={"partitions": 2})
    materialise(two, world, tmp_path / "online")
    good = next(content for kind, content in world.records if kind == "event")
    number = partition_number(good["card"], 2)
    client.xadd(stream_name(two, Partition("card", 1 - number)), {"event": _json(good)})
    registry = CollectorRegistry()
    run_down(updater([two], tmp_path / "updater", registry=registry))
    assert metric(registry, "refused_total", entity="card") == 1


def test_a_quiet_stream_is_told_to_be_complete(use_case: UseCase, world: Streamed, tmp_path: Path) -> None:
    online = materialise(use_case, world, tmp_path / "online")
    before = online.watermarks()
    Producer(use_case).until("2019-01-01T00:00:00Z")
    run_down(updater([use_case], tmp_path / "updater"))
    after = online.watermarks()
    assert after["events"] == after["labels"] > max(before.values())


def test_a_partition_that_waits_holds_back_how_far_the_stream_was_applied(
    use_case: UseCase, world: Streamed, tmp_path: Path
) -> None:
    online = materialise(use_case, world, tmp_path / "online")
    service = updater([use_case], tmp_path / "updater")
    service.look()
    Producer(use_case).send(world.records[:40])
    run_down(service)
    reached = online.watermarks()["events"]
    Producer(use_case).send(world.records[40:])
    service.followers[0].step()
    service.look()
    assert online.watermarks()["events"] == reached
    run_down(service)
    assert online.watermarks()["events"] > reached


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"store": "sqlite", "address": None}, "needs store: redis"),
        ({}, "data.labels.negative_after"),
    ],
)
def test_use_cases_that_cannot_be_followed_are_refused(
    use_case: UseCase, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    online = use_case.features.online.model_copy(update=change)
    data = use_case.data
    if not change:
        data = data.model_copy(update={"labels": data.labels.model_copy(update={"negative_after": DAY})})
    features = use_case.features.model_copy(update={"online": online})
    wrong = use_case.model_copy(update={"features": features, "data": data})
    with pytest.raises(SettingsError, match=said):
        updater([wrong], tmp_path)


def test_a_producer_names_the_key_of_every_entity(use_case: UseCase) -> None:
    with pytest.raises(FeatureError, match="no terminal"):
        Producer(use_case).send([("event", {"event_id": "x", "card": "c"})])


def _json(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content)


def _let_go_of(use_case: UseCase, follower: str) -> None:
    host, port = str(use_case.features.online.address).split(":")
    with redis.Redis(host, int(port)) as opened:
        opened.xgroup_destroy(stream_name(use_case, Partition("card", 0)), follower)
