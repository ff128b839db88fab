"""The sweep says what the rule says, and the check that says so catches a sweep that leaks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample

from sluice.errors import FeatureError
from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.finish import LARGEST_SQUARED, LARGEST_VALUE
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep
from windows.oracle import Sweep, by_sweep, disagreements
from windows.worlds import World, events_of, labels_of, view_of, worlds, worlds_asked_early, worlds_asked_freely

unhurried = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(worlds())
def test_events_ask_about_themselves(world: World) -> None:
    assert disagreements(world) == []


@unhurried
@given(worlds_asked_early())
def test_an_event_asked_about_before_it_arrives_counts_too(world: World) -> None:
    assert disagreements(world) == []


@unhurried
@given(worlds_asked_freely())
def test_anything_may_be_asked(world: World) -> None:
    assert disagreements(world) == []


def leaks_one_row(world: World) -> pl.DataFrame:
    """Asks at the instant of the key's next event."""
    ahead = [pl.col(name).shift(-1).over("key").fill_null(pl.col(name)).alias(name) for name in ("time", "event_id")]
    later = world.questions.with_columns(ahead).with_columns(arrival=pl.max_horizontal("arrival", "time"))
    return by_sweep(replace(world, questions=later))


def knows_labels_early(world: World) -> pl.DataFrame:
    """Takes a label for known when its event happened."""
    times = world.labels.join(world.events.select("event_id", "event_time"), on="event_id")
    early = times.with_columns(label_time=pl.col("event_time")).drop("event_time").sort("label_time", "event_id")
    return by_sweep(replace(world, entries=entries_of(world.view, None, early)))


def knows_corrections_early(world: World) -> pl.DataFrame:
    """Puts the last label of an event in place of its first."""
    entries = world.entries.with_columns(arrival=pl.when(pl.col("sign") < 0).then("time").otherwise("arrival"))
    return by_sweep(replace(world, entries=entries))


def joins_late_values_early(world: World) -> pl.DataFrame:
    """Forgets that values came late."""
    return by_sweep(replace(world, entries=world.entries.with_columns(arrival="time").sort("time", "event_id")))


def sees_all_of_its_instant(world: World) -> pl.DataFrame:
    """Lets ties count whatever their order."""
    return by_sweep(replace(world, questions=world.questions.with_columns(event_id=pl.lit(None, pl.String))))


def is_a_tile_too_long(world: World) -> pl.DataFrame:
    """Also sees the tile of t - w."""
    view = world.view
    longer = tuple(replace(a, window_us=a.window_us + view.hop_us) for a in view.aggregations)
    return by_sweep(replace(world, view=replace(view, aggregations=longer)))


def is_not_hopped(world: World) -> pl.DataFrame:
    """Is exactly w long."""
    return by_sweep(replace(world, view=replace(world.view, hop_us=1)))


def forgets_the_event_itself(world: World) -> pl.DataFrame:
    """Sees only what came before."""
    asked = world.questions.with_columns(event_id=pl.lit("", pl.String))
    return by_sweep(replace(world, questions=asked))


@pytest.mark.parametrize(
    "leak",
    [
        leaks_one_row,
        knows_labels_early,
        knows_corrections_early,
        joins_late_values_early,
        sees_all_of_its_instant,
        is_a_tile_too_long,
        is_not_hopped,
        forgets_the_event_itself,
    ],
)
def test_a_planted_mistake_is_caught(leak: Sweep) -> None:
    stream = "labels" if "labels" in leak.__name__ or "corrections" in leak.__name__ else "events"
    patient = settings(max_examples=2000, deadline=None, phases=[Phase.generate], derandomize=True, database=None)
    try:
        find(worlds(stream=stream), lambda world: bool(disagreements(world, leak)), settings=patient)
    except NoSuchExample:
        pytest.fail(f"no world was found in which it shows that the sweep {leak.__name__}")


def test_the_event_asked_about_counts_once_among_its_ties() -> None:
    rows = [{"event_id": i, "event_time": 5, "arrival": 5, "card": "a", "amount": 1} for i in ("x", "a", "m")]
    view, events = view_of("events", 1), events_of(rows)
    answers = sweep(view, entries_of(view, events, None), questions_of(view, events))
    assert answers.get_column("count_1").to_list() == [1.0, 2.0, 3.0]
    assert answers.get_column("time_since_last_1").to_list() == [None, 0.0, 0.0]


def test_an_event_that_asks_before_it_is_delivered_counts_for_itself_alone() -> None:
    rows = [{"event_id": f"e{t}", "event_time": t, "arrival": t + 5, "card": "a", "amount": t} for t in (2, 4)]
    view, events = view_of("events", 1, (9,)), events_of(rows)
    questions = questions_of(view, events).with_columns(arrival=pl.col("time"))
    answers = sweep(view, entries_of(view, events, None), questions)
    assert answers.select("count_9", "sum_9", "min_9", "max_9").rows() == [(1.0, 2.0, 2.0, 2.0), (1.0, 4.0, 4.0, 4.0)]
    assert answers.get_column("time_since_last_9").to_list() == [None, None]


def test_a_late_event_is_seen_from_its_arrival_on_and_in_its_own_tile() -> None:
    late = {"event_id": "late", "event_time": 1, "arrival": 6, "card": "a", "amount": 7}
    rows = [{"event_id": f"e{t}", "event_time": t, "arrival": t, "card": "a", "amount": 1} for t in (2, 5, 7, 9)]
    view, events = view_of("events", 2, (2, 4)), events_of([late, *rows])
    answers = sweep(view, entries_of(view, events, None), questions_of(view, events))
    # Tiles of two: late lies in tile 0, the events in 1, 2, 3 and 4. It asks when nothing came before it in time.
    assert answers.get_column("sum_4").to_list() == [7.0, 1.0, 2.0, 10.0, 4.0]


def test_a_corrected_label_leaves_the_tile_it_was_in() -> None:
    labels = labels_of(
        [
            {"event_id": "e", "label": 1.0, "label_time": 10, "card": "a"},
            {"event_id": "e", "label": 0.0, "label_time": 20, "card": "a"},
        ]
    )
    view = view_of("labels", 1, (5, 50))
    questions = pl.DataFrame({"key": "a", "time": [9, 10, 19, 20, 26]})
    answers = sweep(view, entries_of(view, None, labels), questions)
    assert answers.get_column("sum_50").to_list() == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert answers.get_column("count_50").to_list() == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert answers.get_column("count_5").to_list() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert answers.get_column("mean_5").to_list() == [None, 1.0, None, 0.0, None]


def test_empty_tables() -> None:
    for view in (view_of("events", 1), view_of("labels", 3)):
        events, labels = events_of([]), labels_of([])
        entries, questions = entries_of(view, events, labels), questions_of(view, events)
        assert sweep(view, entries, questions).shape == (0, len(view.aggregations))
        one = pl.DataFrame({"key": ["a"], "time": [3]})
        assert sweep(view, entries, one).row(0)[0] == 0.0


def test_threads_and_the_order_of_questions_do_not_show() -> None:
    numbers = np.random.default_rng(3)
    rows = [
        {"event_id": f"{i}", "event_time": int(t), "arrival": int(t + lag), "card": str(card), "amount": int(card)}
        for i, (t, lag, card) in enumerate(numbers.integers(0, [2000, 3, 40], size=(3000, 3)))
    ]
    view, events = view_of("events", 7, (1, 4, 30)), events_of(rows)
    entries, questions = entries_of(view, events, None), questions_of(view, events).with_row_index("row")
    one = sweep(view, entries, questions, threads=1)
    assert one.equals(sweep(view, entries, questions, threads=5))
    mixed = questions.sample(fraction=1.0, shuffle=True, seed=1)
    assert one[mixed.get_column("row")].equals(sweep(view, entries, mixed))


def test_a_deviation_of_close_large_values_loses_nothing() -> None:
    view = WindowView("v", "card", "events", 1, (Aggregation("std", "amount", "std", 1000),))
    amounts = [LARGEST_SQUARED - 1, LARGEST_SQUARED, LARGEST_SQUARED - 1, LARGEST_SQUARED]
    rows = [
        {"event_id": f"{t}", "event_time": t, "arrival": t, "card": "a", "amount": a} for t, a in enumerate(amounts)
    ]
    events = events_of(rows)
    answers = sweep(view, entries_of(view, events, None), questions_of(view, events))
    assert answers.get_column("std").to_list()[0::3] == [0.0, 0.5]


@pytest.mark.parametrize(("function", "bound"), [("sum", LARGEST_VALUE), ("std", LARGEST_SQUARED)])
def test_values_that_could_not_be_summed_exactly_are_refused(function: str, bound: int) -> None:
    view = WindowView("v", "card", "events", 1, (Aggregation("f", "amount", function, 10),))

    def asked(amount: int) -> pl.DataFrame:
        events = events_of([{"event_id": "e", "event_time": 1, "arrival": 1, "card": "a", "amount": amount}])
        return sweep(view, entries_of(view, events, None), questions_of(view, events))

    assert asked(-bound).height == 1
    with pytest.raises(FeatureError, match=f"amount holds {bound + 1} units"):
        asked(bound + 1)


def test_extremes_refuse_retractions() -> None:
    view = view_of("events", 1)
    events = events_of([{"event_id": "e", "event_time": 1, "arrival": 1, "card": "a", "amount": 1}])
    entries = entries_of(view, events, None)
    taken_back = pl.concat([entries, entries.with_columns(sign=pl.lit(-1, pl.Int8))])
    with pytest.raises(FeatureError, match="cannot be taken back"):
        sweep(view, taken_back, questions_of(view, events))


def test_a_process_that_may_write_nowhere_still_sweeps() -> None:
    code = (
        "import numba.core.caching as caching; caching.CompileResultCacheImpl._locator_classes = []\n"
        "import numpy as np; from sluice.windows.kernels import group\n"
        "print(group(np.array([1, 0, 1]), np.arange(3), 2)[1].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1, 0, 2]"
