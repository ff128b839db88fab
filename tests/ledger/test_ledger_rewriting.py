"""Compaction, retention and forgetting: killed at any point a reader sees all or nothing, and a repeat ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from ledger_files import DAY, START, WITHIN, Interrupted, Killed, add, day, killed_at, requests, responses
from servers import Bucket

from sluice.errors import ConflictError
from sluice.ledger import answers, compact, expire, forget_events, partitions
from sluice.ledger.rewriting import STRAY_FOR
from sluice.ledger.visible import view
from sluice.settings.payloads import Payloads
from sluice.storage import Store, open_store

SETTINGS = Payloads(compact_from=2)
LATER = START + 10 * DAY
MUCH_LATER = LATER + 10_000 * DAY
"""Long after what an interrupted run left: the store's own times are those of today."""


def seen(store: Store) -> list[tuple[str, str]]:
    """What a reader gets of all days: answers and unanswered requests."""
    found = answers(store, "fraud", START - DAY, START + 5 * DAY, answer_within=WITHIN)
    said = [("said", name) for name in found.frame.get_column("event_id")]
    return said + [("unanswered", name) for name in found.unanswered.get_column("id")]


def fill(store: Store) -> None:
    """Two days and two versions in small files, with copies."""
    for name, numbers in (("1", [1, 2]), ("2", [2, 3]), ("3", [4])):
        add(store, name, responses(numbers))
        add(store, name, responses(numbers, start=START + DAY, version="v2", features=("b",)))
        add(store, name, requests([*numbers, 90 + int(name)]))


def names(store: Store) -> list[str]:
    """Everything that lies in the ledger."""
    return sorted(store.keys("payloads"))


def test_small_files_become_one_and_say_the_same(store: Store) -> None:
    fill(store)
    before = seen(store)
    done = compact(store, "fraud", SETTINGS, now=LATER)
    assert (done.before, done.after, done.rows) == (9, 3, 3)
    assert seen(store) == before
    assert len([name for name in names(store) if name.endswith(".parquet")]) == 3
    kept = names(store)
    assert compact(store, "fraud", SETTINGS, now=LATER).after == 3
    assert names(store) == kept, "nothing is left to do"
    add(store, "4", responses([7, 8]))
    compact(store, "fraud", SETTINGS, now=LATER)
    assert ("said", "e8") in seen(store) and len(names(store)) == len(kept)


def test_large_files_stay_and_today_waits_for_enough(store: Store) -> None:
    partition = add(store, "1", responses(range(2000)))
    for name in "234":
        add(store, name, responses([int(name)]))
    size = max(entry.size for entry in view(store, partition).entries.values())
    today = START + timedelta(hours=1)
    assert compact(store, "fraud", Payloads(file_size=size, compact_from=4), now=today).after == 4
    assert compact(store, "fraud", Payloads(file_size=size, compact_from=3), now=today).after == 2
    assert f"{partition.prefix}/1.parquet" in names(store)


def expire_first_day(store: Store) -> None:
    expire(store, "fraud", timedelta(days=1), now=START + 2 * DAY)


def forget_two(store: Store) -> None:
    forget_events(store, "fraud", ["e2"], now=LATER)


WORK: dict[str, Callable[[Any], object]] = {
    "compact": lambda store: compact(store, "fraud", SETTINGS, now=LATER),
    "expire": expire_first_day,
    "forget": forget_two,
}


@pytest.mark.parametrize("what", WORK)
def test_killed_anywhere_readers_see_one_state_or_the_other_of_each_day(what: str, store: Store, tmp_path: Any) -> None:
    fill(store)
    old = seen(store)
    clean = open_store_like(store, tmp_path / "clean")
    fill(clean)
    counting: Any = Interrupted(clean, lambda _: None)
    WORK[what](counting)
    new = seen(clean)
    assert (new == old) == (what == "compact") and counting.count > 3
    for moment in range(1, counting.count + 1):
        place = open_store_like(store, tmp_path / f"{what}-{moment}")
        fill(place)
        with pytest.raises(Killed):
            WORK[what](killed_at(place, moment))
        # A day at a time: each partition is as it was, or as it will be.
        assert set(new) <= set(seen(place)) <= set(old), moment
        assert len(seen(place)) == len(set(seen(place))), moment
        WORK[what](place)
        assert seen(place) == new, moment
        compact(place, "fraud", SETTINGS, now=MUCH_LATER)
        swept = [found for each in partitions(place, "fraud") for found in view(place, each).leftovers]
        assert swept == [], moment
    assert seen(store) == old


def open_store_like(store: Store, folder: Any) -> Store:
    from sluice.settings.operation import Storage

    return open_store(Storage(url=str(folder)))


def test_a_reader_beside_a_compaction_never_misses_or_doubles_anything(store: Store) -> None:
    fill(store)
    expected = seen(store)
    looked = 0

    def look(_: int) -> None:
        nonlocal looked
        looked += 1
        assert seen(store) == expected

    watched: Any = Interrupted(store, look)
    compact(watched, "fraud", SETTINGS, now=LATER)
    assert looked > 8 and seen(store) == expected


def test_a_file_that_is_rewritten_away_while_it_is_read_is_read_anew(store: Store) -> None:
    fill(store)
    expected = seen(store)

    class Slow:
        def __init__(self) -> None:
            self.done = False

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def get(self, key: str) -> bytes:
            if not self.done and key.endswith(".parquet"):
                self.done = True
                compact(store, "fraud", SETTINGS, now=LATER)
            return store.get(key)

    slow: Any = Slow()
    assert seen(slow) == expected and slow.done


def test_of_two_compactions_one_gives_way(store: Store) -> None:
    fill(store)
    expected = seen(store)

    def before(count: int) -> None:
        if count == 1:
            compact(store, "fraud", SETTINGS, now=LATER)

    second: Any = Interrupted(store, before)
    with pytest.raises(ConflictError, match="rewritten by somebody else"):
        compact(second, "fraud", SETTINGS, now=LATER)
    assert seen(store) == expected


def test_a_replaced_file_that_a_receiver_ships_again_stays_hidden_or_is_a_copy(store: Store) -> None:
    fill(store)
    expected = seen(store)
    compact(store, "fraud", SETTINGS, now=LATER)
    add(store, "1", responses([1, 2]))
    assert seen(store) == expected
    compact(store, "fraud", SETTINGS, now=LATER)
    assert seen(store) == expected


def test_whole_days_expire_and_no_younger_one(store: Store) -> None:
    fill(store)
    gone = expire(store, "fraud", timedelta(days=1), now=START + 2 * DAY)
    assert {partition.day for partition in gone} == {day(0)}
    assert {partition.day for partition in partitions(store, "fraud")} == {day(1)}
    assert [name for name in names(store) if day(0).isoformat() in name] == [], "nothing is left of it"
    assert expire(store, "fraud", timedelta(days=1), now=START + 2 * DAY) == []


def test_a_persons_events_are_forgotten_and_nobody_elses(store: Store) -> None:
    fill(store)
    compact(store, "fraud", SETTINGS, now=LATER)
    before = seen(store)
    assert forget_events(store, "fraud", ["e2", "not here"], now=LATER) == 3
    assert seen(store) == [each for each in before if each != ("said", "e2")]
    assert forget_events(store, "fraud", ["e2"], now=LATER) == 0


def test_what_an_interrupted_run_left_goes_a_day_later(store: Store) -> None:
    fill(store)
    with pytest.raises(Killed):
        compact(killed_at(store, 2), "fraud", SETTINGS, now=LATER)
    (stray,) = [name for name in names(store) if "/c-" in name]
    written = store.entry(stray)
    assert written is not None
    add(store, "9", requests([9]))
    compact(store, "fraud", SETTINGS, now=written.modified + STRAY_FOR / 2)
    assert stray in names(store)
    compact(store, "fraud", SETTINGS, now=written.modified + 2 * STRAY_FOR)
    assert stray not in names(store)


@pytest.mark.minio
def test_in_a_bucket_with_versions_nothing_of_it_lives_on(minio: Bucket) -> None:
    from minio.versioningconfig import ENABLED, VersioningConfig

    minio.s3.client.set_bucket_versioning(minio.name, VersioningConfig(ENABLED))
    place = open_store(minio.storage, credentials=minio.credentials)
    fill(place)
    before = seen(place)
    compact(place, "fraud", SETTINGS, now=LATER)
    assert seen(place) == before
    assert forget_events(place, "fraud", ["e2"], now=LATER) > 0
    expire(place, "fraud", timedelta(days=1), now=START + 2 * DAY)
    assert set(place.versions("payloads").values()) == {1}
    assert set(place.versions("payloads")) == set(names(place))
    assert {partition.day for partition in partitions(place, "fraud")} == {day(1)}
