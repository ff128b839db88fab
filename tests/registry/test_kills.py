"""A writer that is killed at any moment leaves a sound store, and the next one goes on."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers import Bucket, wait_until_ready

from sluice.errors import StoreError
from sluice.registry import Keys, Registry, Version, collect_garbage, verify
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store

KILLS = 8


class Writers:
    """A process that starts writers, and ends with the test."""

    def __init__(self, storage: Storage, keys: Keys, folder: Path, environment: dict[str, str]) -> None:
        script = Path(__file__).parent / "writing.py"
        arguments = [storage.url, storage.endpoint or "", str(keys.folder), str(folder)]
        self._process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def write_for(self, seconds: float, *, after: str) -> list[str]:
        """Kill a fresh writer this long after it said `after`; the digests whose promotion it had been told of."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        lines = self._process.stdout
        seen: list[str] = []
        while not all(any(line.startswith(word) for line in seen) for word in ("writer", after)):
            line = lines.readline()
            assert line, "the writers ended"
            seen.append(line.strip())
        time.sleep(seconds)
        os.kill(next(int(line.split()[1]) for line in seen if line.startswith("writer")), signal.SIGKILL)
        while seen[-1] != "ended":
            line = lines.readline()
            assert line, "the starter of the writers ended"
            seen.append(line.strip())
        # A line that the kill cut in two confirms nothing.
        return [line[-64:] for line in seen if re.fullmatch(r"promoted \d+ [0-9a-f]{64}", line)]


def survived(store: Store, keys: Keys, told: list[str]) -> None:
    """Nothing is half-written, and nothing that was confirmed is lost."""
    assert verify(store, keys).problems == ()
    registry = Registry(store, "fraud", clock=lambda: datetime.now(UTC), actor="tester", keys=keys)
    promoted = [decision.version for decision in registry.log() if decision.kind == "promoted"]
    assert set(told) <= set(promoted)
    champion = registry.champion()
    assert (champion.digest if champion else None) == (promoted[-1] if promoted else None)


@pytest.mark.parametrize("place", ["folder", pytest.param("minio", marks=pytest.mark.minio)])
def test_a_store_survives_killed_writers(
    place: str, request: pytest.FixtureRequest, keys: Keys, tmp_path: Path
) -> None:
    chance = random.Random(7)
    if place == "folder":
        storage, environment = Storage(url=str(tmp_path / "store")), {}
        store = open_store(storage)
    else:
        bucket: Bucket = request.getfixturevalue("minio")
        storage, environment = bucket.storage, bucket.environment
        store = open_store(storage, credentials=bucket.credentials)
    told: list[str] = []
    with Writers(storage, keys, tmp_path / "work", environment) as writers:
        for number in range(KILLS):
            after = "promoted" if number % 2 else "ready"
            told += writers.write_for(chance.uniform(0, 0.1), after=after)
            survived(store, keys, told)
    assert len(told) >= KILLS // 2
    collect_garbage(store, now=datetime.now(UTC) + timedelta(days=2))
    survived(store, keys, told)


@pytest.mark.minio
def test_a_server_killed_in_the_middle_leaves_nothing_half_registered(
    own_minio: Bucket, keys: Keys, clock: Callable[[], datetime], add: Callable[[Registry, str], Version]
) -> None:
    server = own_minio.s3.server
    assert server is not None
    store = open_store(own_minio.storage, credentials=own_minio.credentials)
    registry = Registry(store, "fraud", clock=clock, actor="gate", keys=keys)
    a, b = add(registry, "a"), add(registry, "b")
    registry.settle("promoted", version=a.digest, against=None)
    server.kill()
    with pytest.raises(StoreError, match="the server does not answer"):
        registry.settle("promoted", version=b.digest, against=a.digest)
    server.start()
    wait_until_ready(own_minio.s3)
    survived(store, keys, [a.digest])
    registry.settle("promoted", version=b.digest, against=a.digest)
    survived(store, keys, [a.digest, b.digest])
