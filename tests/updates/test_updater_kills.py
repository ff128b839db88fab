"""Killed with -9 at any moment, again and again, and Redis with it: nothing lost, nothing counted twice."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from nursery import Nursery
from servers import durable_redis
from streamed_world import (
    DAY,
    case,
    differences,
    eventually,
    keys_of,
    open_state,
    states,
    streamed,
    wrong_features,
)

from sluice.features.online import OnlineFeatures
from sluice.updates.fence import Fence
from sluice.updates.producer import Producer
from sluice.updates.redis_source import RedisSource
from sluice.updates.source import partitions_of

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(900)]
KILLS = 20
REDIS_TOO = (6, 13)


def test_a_day_of_events_with_twenty_kills_ends_as_the_offline_sweep(tmp_path: Path) -> None:
    world, draw = streamed(days=33, cards=150, terminals=80), random.Random(11)
    redis = durable_redis(tmp_path / "redis")
    redis.server.start()
    nursery = Nursery()
    use_case = case(redis.address, updates={"partitions": 2, "batch": 7, "lease": "30s"})
    try:
        online = OnlineFeatures.open(use_case, tmp_path / "reader")
        online.materialise(*world.before())
        opened = open_state(use_case, tmp_path / "reader")
        fences = [Fence(opened.store, partition, 2, 1) for partition in partitions_of(use_case)]
        source, producer = RedisSource(use_case), Producer(use_case)
        records = world.delivered(seed=5)

        def applied() -> int:
            with opened.store.redis_rows.client.pipeline(transaction=False) as pipe:
                for fence in fences:
                    pipe.hget(fence.name, "count")
                return sum(int(count or 0) for count in pipe.execute())

        def added() -> int:
            return sum(source.standing(partition).added for partition in partitions_of(use_case))

        share = len(records) // KILLS + 1
        for kill in range(KILLS):
            producer.send(records[kill * share : (kill + 1) * share])
            until = added() - draw.randrange(2 * share)
            pid = nursery.start([use_case], tmp_path / "updater", "the same pod")
            # Sometimes before it has done anything, mostly in the middle of the work.
            eventually(lambda until=until: applied() >= until, every=0.004)  # type: ignore[misc]
            time.sleep(draw.uniform(0, 0.02))
            nursery.end(pid)
            if kill in REDIS_TOO:
                redis.server.kill()
                redis.server.start()
        assert applied() <= added() == 2 * len(records)
        pid = nursery.start([use_case], tmp_path / "updater", "the same pod")
        eventually(lambda: applied() == 2 * len(records), every=0.05)
        assert nursery.end(pid, signal.SIGTERM) == 0

        whole = OnlineFeatures.open(case(), tmp_path / "offline")
        whole.materialise(world.events, world.labels)
        offline = states(open_state(case(), tmp_path / "offline"), keys_of(world))
        assert differences(states(opened, keys_of(world)), offline) == []
        assert wrong_features(online, use_case, world, world.start + DAY) == []
    finally:
        nursery.close()
        redis.server.kill()
