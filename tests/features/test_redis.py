"""State in a real Redis of the test's own: what a question costs it, its password, and connections that break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import redis
from servers import Redis

from sluice.errors import FeatureError
from sluice.features.lookup import Requests
from sluice.features.online import OnlineFeatures
from sluice.features.redis_rows import PASSWORD
from sluice.settings import UseCase

pytestmark = pytest.mark.redis
Tables = tuple[pl.DataFrame, pl.DataFrame]


@pytest.fixture
def opened(
    own_redis: Redis,
    make_case: Callable[..., UseCase],
    tables: Tables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> OnlineFeatures:
    """All of the small world's state, written with the password of the environment."""
    monkeypatch.setenv(PASSWORD, own_redis.password)
    case = make_case(online={"store": "redis", "address": own_redis.address})
    online = OnlineFeatures.open(case, tmp_path / "online")
    online.materialise(*tables)
    return online


def client(server: Redis) -> redis.Redis:
    """A client of the test's own."""
    host, port = server.address.split(":")
    return redis.Redis(host, int(port), password=server.password)


def question(tables: Tables) -> Requests:
    """About one event."""
    row = tables[0].tail(1)
    return Requests(
        row["event_id"].to_list(),
        row["event_time"].to_physical().to_numpy(),
        {name: row[name].to_list() for name in ("card", "terminal")},
        {"amount": row["amount"].to_list()},
    )


def test_a_question_is_one_round_trip_and_costs_the_same_each_time(
    opened: OnlineFeatures, own_redis: Redis, tables: Tables
) -> None:
    asked = question(tables)
    opened.compose(asked)
    with client(own_redis) as watching:

        def counted() -> tuple[int, int]:
            stats = watching.info("stats")
            return stats["total_reads_processed"], stats["total_net_input_bytes"]

        def cost() -> tuple[int, int]:
            before = counted()
            opened.compose(asked)
            after = counted()
            return after[0] - before[0], after[1] - before[1]

        costs = [cost() for _ in range(5)]
    # The second reading of the statistics is a round trip of its own.
    assert costs == [(2, costs[0][1])] * 5


def test_the_password_is_written_nowhere(opened: OnlineFeatures, own_redis: Redis, tmp_path: Path) -> None:
    held = [path for path in tmp_path.rglob("*") if path.is_file() and own_redis.password.encode() in path.read_bytes()]
    assert held == []


def test_without_the_password_the_message_says_so(
    opened: OnlineFeatures,
    own_redis: Redis,
    make_case: Callable[..., UseCase],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PASSWORD)
    case = make_case(online={"store": "redis", "address": own_redis.address})
    with pytest.raises(FeatureError, match="Authentication") as error:
        OnlineFeatures.open(case, tmp_path / "other").watermarks()
    assert PASSWORD in error.value.hint


def test_connections_that_were_cut_are_made_anew(opened: OnlineFeatures, own_redis: Redis, tables: Tables) -> None:
    asked = question(tables)
    before = opened.compose(asked).matrix.tobytes()
    with client(own_redis) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    assert opened.compose(asked).matrix.tobytes() == before


def test_a_redis_that_came_back_is_used_again(opened: OnlineFeatures, own_redis: Redis, tables: Tables) -> None:
    asked = question(tables)
    own_redis.server.kill()
    with pytest.raises(FeatureError, match="does not answer"):
        opened.compose(asked)
    own_redis.server.start()
    assert opened.compose(asked).unknown == [("card", "terminal")]


def test_opening_it_to_read_writes_nothing(
    opened: OnlineFeatures,
    own_redis: Redis,
    make_case: Callable[..., UseCase],
    tables: Tables,
    tmp_path: Path,
) -> None:
    case = make_case(online={"store": "redis", "address": own_redis.address})
    with client(own_redis) as other:
        before = other.info("commandstats")
        reader = OnlineFeatures.open(case, tmp_path / "reader")
        assert reader.compose(question(tables)).unknown == [()]
        after = other.info("commandstats")
    used = {name for name in after if after[name]["calls"] != before.get(name, {"calls": 0})["calls"]}
    assert used - {"cmdstat_info", "cmdstat_auth", "cmdstat_client|setinfo", "cmdstat_client"} == {"cmdstat_hmget"}
