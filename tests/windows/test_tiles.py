"""Tile state answers like the sweep, survives repeated and shuffled delivery, and is built from history at once."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.errors import FeatureError
from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.finish import NULL
from sluice.windows.materialise import build_states, entries_by_key
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep_array
from sluice.windows.tiles import Entries, TileState, answer, apply, empty, from_arrays, to_arrays
from windows.worlds import World, events_of, part, same_state, view_of, worlds, worlds_asked_early

unhurried = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
LONG = 10**6


def replayed(world: World, key: str, as_of: int, horizon: int) -> TileState:
    """The state of a key from what had arrived by an instant, one entry at a time."""
    state = empty(world.view)
    for name, batch in entries_by_key(world.view, world.entries):
        for i in np.flatnonzero(batch.arrival <= as_of) if name == key else ():
            state = apply(world.view, state, part(batch, [int(i)]), horizon_us=horizon)
    return state


@unhurried
@given(worlds(), st.sampled_from([LONG, 20]))
def test_replay_equals_the_sweep_bit_for_bit(world: World, horizon: int) -> None:
    questions = world.questions.filter(pl.col("key").is_not_null())
    expected = sweep_array(world.view, world.entries, questions)
    for i, (key, time, arrival, event_id) in enumerate(questions.iter_rows()):
        state = replayed(world, key, arrival, horizon)
        if max(state.time, state.arrival) - horizon >= time and state.time != NULL:
            continue
        found, flags = answer(world.view, state, time, event_id, None)
        assert found.tobytes() == np.ascontiguousarray(expected[:, i]).tobytes()
        assert flags.repeated == (world.view.stream == "events")


@unhurried
@given(worlds(late=False))
def test_scoring_before_or_after_the_update_is_the_same(world: World) -> None:
    questions = world.questions.filter(pl.col("key").is_not_null())
    amounts = dict(world.events.select("event_id", "amount").iter_rows())
    for key, time, arrival, event_id in questions.iter_rows():
        after = replayed(world, key, arrival, LONG)
        own = {"amount": amounts[event_id]} if world.view.stream == "events" else None
        before = empty(world.view)
        for name, batch in entries_by_key(world.view, world.entries):
            for i in np.flatnonzero(batch.arrival <= arrival) if name == key else ():
                if batch.event_ids[i] != event_id or own is None:
                    before = apply(world.view, before, part(batch, [int(i)]), horizon_us=LONG)
        one, first = answer(world.view, before, time, event_id, own)
        two, second = answer(world.view, after, time, event_id, own)
        assert one.tobytes() == two.tobytes()
        assert (first.repeated, second.repeated) == (False, own is not None)


@unhurried
@given(worlds())
def test_state_that_is_ahead_says_so_and_still_answers_as_of_then(world: World) -> None:
    questions = world.questions.filter(pl.col("key").is_not_null())
    expected = sweep_array(world.view, world.entries, questions)
    for i, (key, time, arrival, event_id) in enumerate(questions.iter_rows()):
        state = replayed(world, key, LONG, LONG)
        found, flags = answer(world.view, state, time, event_id, None, arrival_us=arrival)
        assert found.tobytes() == np.ascontiguousarray(expected[:, i]).tobytes()
        later = (pl.col("key") == key) & ((pl.col("time") > time) | (pl.col("arrival") > arrival))
        if world.view.stream == "events":
            later |= (pl.col("key") == key) & (pl.col("time") == time) & (pl.col("event_id") > event_id)
        assert flags.ahead == (world.entries.filter(later).height > 0)


@unhurried
@given(worlds(), st.sampled_from([3, 8, 20]), st.data())
def test_built_at_once_shuffled_or_repeated_the_state_is_the_same(
    world: World, horizon: int, data: st.DataObject
) -> None:
    built = build_states(world.view, world.entries, horizon_us=horizon)
    parts = dict(entries_by_key(world.view, world.entries))
    assert list(built) == list(parts)
    for key, batch in parts.items():
        count = len(batch.event_ids)
        at_once = apply(world.view, empty(world.view), batch, horizon_us=horizon)
        assert same_state(at_once, built[key])
        lags = st.lists(st.integers(0, horizon - 1), min_size=count, max_size=count)
        deliveries = [(int(batch.arrival[i]) + lag, i) for _ in range(2) for i, lag in enumerate(data.draw(lags))]
        state = empty(world.view)
        for _, i in sorted(deliveries):
            state = apply(world.view, state, part(batch, [i]), horizon_us=horizon)
        assert same_state(state, built[key])
        assert same_state(from_arrays(world.view, to_arrays(state)), state)
        listed = {name: x.tolist() if isinstance(x, np.ndarray) else x for name, x in to_arrays(state).items()}
        assert same_state(from_arrays(world.view, listed), state)


@unhurried
@given(worlds_asked_early())
def test_asked_before_its_own_delivery_an_event_counts_once(world: World) -> None:
    questions = world.questions.filter(pl.col("key").is_not_null())
    expected = sweep_array(world.view, world.entries, questions)
    amounts = dict(world.events.select("event_id", "amount").iter_rows())
    for i, (key, time, arrival, event_id) in enumerate(questions.iter_rows()):
        own = {"amount": amounts[event_id]} if world.view.stream == "events" else None
        before, _ = answer(world.view, replayed(world, key, arrival, LONG), time, event_id, own)
        after, flags = answer(world.view, replayed(world, key, LONG, LONG), time, event_id, own, arrival_us=arrival)
        assert before.tobytes() == after.tobytes() == np.ascontiguousarray(expected[:, i]).tobytes()
        assert flags.repeated == (own is not None)


def test_a_state_that_counted_a_repeat_twice_would_be_seen() -> None:
    view = view_of("events", 1)
    one = Entries(["e"], np.array([5]), np.array([5]), np.array([1]), np.array([[3]]))
    state = apply(view, apply(view, empty(view), one, horizon_us=10), one, horizon_us=10)
    found, flags = answer(view, state, 5, "e", {"amount": 3})
    assert (found[0], flags.repeated) == (1.0, True)
    renamed = Entries(["f"], one.time, one.arrival, one.sign, one.values)
    assert answer(view, apply(view, state, renamed, horizon_us=10), 5, "f", None)[0][0] == 2.0


def test_the_state_stays_small_and_keeps_what_late_questions_need() -> None:
    view, horizon = view_of("events", 10, (1, 3)), 20
    rows = [{"event_id": f"{t}", "event_time": t, "arrival": t, "card": "a", "amount": 1} for t in range(0, 1000, 2)]
    state = build_states(view, entries_of(view, events_of(rows), None), horizon_us=horizon)["a"]
    assert len(state.recent_ids) == 10
    # The newest event is at 998; a question less than 20 behind it sees back to 979 - 30, hence tiles from 95 on.
    assert state.tile_index.tolist() == [95, 96, 97]
    events = events_of(rows)
    entries, questions = entries_of(view, events, None), questions_of(view, events).filter(pl.col("time") > 978)
    expected = sweep_array(view, entries, questions)
    for i, (_, time, _, event_id) in enumerate(questions.iter_rows()):
        assert answer(view, state, time, event_id, None)[0].tobytes() == expected[:, i].tobytes()


def test_an_entry_that_comes_after_the_horizon_cannot_be_told_from_a_repeat() -> None:
    view = view_of("events", 1)

    def at(name: str, time: int) -> Entries:
        return Entries([name], np.array([time]), np.array([time]), np.array([1]), np.array([[1]]))

    state = apply(view, apply(view, empty(view), at("old", 1), horizon_us=10), at("new", 50), horizon_us=10)
    assert apply(view, state, at("old", 1), horizon_us=10) is state
    assert apply(view, state, at("older", 40), horizon_us=10) is state
    assert apply(view, state, at("young", 41), horizon_us=10) is not state


def test_exact_windows_keep_a_tile_for_each_instant() -> None:
    view = WindowView("v", "card", "events", 1, (Aggregation("n", "amount", "count", 100),))
    rows = [
        {"event_id": f"{i}", "event_time": t, "arrival": t, "card": "a", "amount": 1}
        for i, t in enumerate([1, 1, 2, 90])
    ]
    state = build_states(view, entries_of(view, events_of(rows), None), horizon_us=5)["a"]
    assert state.tile_index.tolist() == [1, 2]
    assert [answer(view, state, t, None, None)[0].item() for t in (90, 100, 101, 102)] == [4.0, 4.0, 2.0, 1.0]


def test_an_unknown_key_has_empty_windows_and_its_first_event_counts() -> None:
    view = view_of("events", 1, (1,))
    found, flags = answer(view, empty(view), 5, "e", {"amount": 4})
    assert dict(zip([a.function for a in view.aggregations], found.tolist(), strict=True)) == pytest.approx(
        {"count": 1, "sum": 4, "mean": 4, "std": 0, "min": 4, "max": 4, "time_since_last": float("nan")}, nan_ok=True
    )
    assert flags == (False, False)
    none = Entries([], *(np.empty(0, np.int64) for _ in range(3)), np.empty((1, 0), np.int64))
    assert same_state(apply(view, empty(view), none, horizon_us=1), empty(view))


@pytest.mark.parametrize("amount", [2**41, -(2**63), 10**30])
def test_an_own_value_that_could_not_be_summed_is_refused(amount: int) -> None:
    view = view_of("events", 1)
    with pytest.raises(FeatureError, match=f"amount holds {amount} units"):
        answer(view, empty(view), 5, "e", {"amount": amount})


def test_the_server_needs_numpy_only() -> None:
    code = "import sys, sluice.windows.tiles; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"polars", "pandas", "pyarrow", "numba", "feast"} & set(loaded)
