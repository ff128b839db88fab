"""The window that slides: which rows it holds, that its sample is uniform, and what waits, in bounded memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import kstest

from sluice.payloads.bodies import Answer, read_answer
from sluice.payloads.events import Event
from sluice.watch.alibi.paired import Pairs
from sluice.watch.alibi.sliding import Row, SlidingSample
from sluice.watch.alibi.waiting import Taken, Waiting

HOUR = 3_600_000_000
DAY = 24 * HOUR
NOTHING = np.zeros(1, dtype=np.float32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(time_us: int) -> Row:
    return Row(time_us, NOTHING, 0.0)


def filled(times: list[int], most: int = 10**6) -> SlidingSample:
    sample = SlidingSample(DAY, most)
    for number, time in enumerate(times):
        sample.add(str(number).encode(), row(time))
    return sample


def test_rows_leave_it_as_the_latest_event_goes_on_and_late_ones_do_not_enter() -> None:
    sample = filled([0, HOUR, DAY, DAY + HOUR, HOUR, DAY - HOUR])
    assert [each.time_us for each in sample.read()] == [DAY - HOUR, DAY, DAY + HOUR]
    assert (sample.late, sample.thinned, sample.full) == (1, 0, True)


def test_it_is_full_once_its_whole_length_was_seen_and_not_after_a_day_of_nothing() -> None:
    assert not filled([0, HOUR, DAY - 1]).full
    assert filled([0, HOUR, DAY]).full
    again = filled([0, HOUR, DAY, 3 * DAY])
    assert not again.full and len(again.read()) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_sample_is_uniform_over_the_window_though_traffic_changes(seed: int) -> None:
    """Busy days make it thin; then a calm one is thinned alike from its first hour to its last."""
    random = np.random.default_rng(seed)
    busy, calm = random.uniform(0, 2 * DAY, 20_000), random.uniform(2 * DAY, 2.5 * DAY, 1_000)
    times = [int(time) for time in np.sort(np.concatenate([busy, calm]))]
    sample = filled(times, 2_000)
    found = np.array([each.time_us for each in sample.read()])
    whole = np.array([time for time in times if time > times[-1] - DAY])
    assert len(sample) <= 2_000 and sample.thinned > 0
    assert 500 < len(found) <= 2_000
    places = np.searchsorted(whole, found) / len(whole)
    assert kstest(places, "uniform").pvalue > 1e-3


def event(name: str, kind: str = "response") -> Event:
    return Event("http://pod/", name, f"org.kubeflow.serving.inference.{kind}", NOW, b"body")


def answer(rows: int) -> Answer:
    said = {"predictions": [{"score": 0.5}] * rows, "model_name": "fraud", "model_version": "v"}
    return read_answer(json.dumps(said).encode())


def test_an_answer_meets_its_question_whichever_comes_first_or_waits_no_longer_than_it_may() -> None:
    pairs, asked = Pairs(10, 5.0), NOW - timedelta(days=3)
    assert list(pairs.request(event("a", "request"), [asked])) == []
    (first,) = pairs.response(event("a"), answer(1), 0.0)
    assert list(pairs.response(event("b"), answer(1), 0.0)) == []
    (second,) = pairs.request(event("b", "request"), [asked])
    assert first.time(0, timedelta()) == second.time(0, timedelta()) == asked
    assert list(pairs.response(event("c"), answer(1), 1.0)) == list(pairs.overdue(5.9)) == []
    (alone,) = pairs.overdue(6.0)
    assert alone.time(0, timedelta()) == NOW


def test_a_time_in_the_future_is_not_believed() -> None:
    pairs = Pairs(10, 5.0)
    assert list(pairs.request(event("a", "request"), [NOW + timedelta(days=400), None])) == []
    (found,) = pairs.response(event("a"), answer(2), 0.0)
    assert [found.time(place, timedelta(minutes=10)) for place in range(2)] == [NOW, NOW]


def test_what_waits_is_bounded_by_rows_and_the_oldest_goes() -> None:
    pairs = Pairs(10, 5.0)
    for name in "abc":
        assert list(pairs.request(event(name, "request"), [NOW] * 4)) == []
    assert list(pairs.response(event("a"), answer(4), 0.0)) == [], "its question went"
    (gone,) = pairs.response(event("d"), answer(8), 0.0)
    assert gone.event.id == "a"

    waiting = Waiting(10)
    assert [waiting.put(Taken.of(event(name), answer(4))) for name in "abcd"] == [0, 0, 1, 1]
    assert waiting.put(Taken.of(event("large"), answer(50))) == 2, "one event is taken, however large"
    (left,) = waiting.take(0.0)
    assert (left.event.id, left.event.data, left.rows) == ("large", b"", 50)
    assert waiting.take(0.0) == []
