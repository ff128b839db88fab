"""Updates wait only as long as nobody can see the difference."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from sluice_serving.replay import equal_bits
from sluice_serving.updates import Updates


class Recorder:
    """An updater that remembers what it was given."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.labels: list[str] = []

    def apply(self, events: pl.DataFrame | None, labels: pl.DataFrame | None) -> None:
        self.events += [] if events is None else events.get_column("event_id").to_list()
        self.labels += [] if labels is None else labels.get_column("event_id").to_list()


TABLE = pl.DataFrame({"event_id": [str(i) for i in range(40)], "card": [str(i % 7) for i in range(40)]})


def updates(recorders: list[Recorder], batch: int = 100) -> Updates:
    return Updates(recorders, TABLE, TABLE, batch=batch, seed=1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 39)), max_size=30), st.integers(1, 10), st.integers(1, 3))
def test_what_concerns_a_key_is_applied_before_it_is_asked_about(
    steps: list[tuple[bool, int]], batch: int, workers: int
) -> None:
    recorders = [Recorder() for _ in range(workers)]
    due = updates(recorders, batch)
    given_so_far: list[int] = []
    for is_question, row in steps:
        key = ("card", str(row % 7))
        if is_question:
            due.settle([key])
            applied = {name for recorder in recorders for name in recorder.events}
            assert applied >= {str(i) for i in given_so_far if i % 7 == row % 7}
        else:
            due.add(False, row, [key])
            given_so_far.append(row)
    due.close()
    assert sorted(n for r in recorders for n in r.events) == sorted(str(i) for i in given_so_far)


def test_one_updater_keeps_the_order_and_waits_for_a_batch() -> None:
    recorder = Recorder()
    due = updates([recorder], batch=3)
    for row in (5, 1):
        due.add(False, row, [("card", "x")])
    due.settle([("card", "y")])
    assert recorder.events == []
    due.add(True, 9, [("card", "x")])
    assert (recorder.events, recorder.labels) == (["5", "1"], ["9"])


def test_bits_differ_where_values_do_not() -> None:
    a = np.array([0.0, 1.0, np.nan, 1.0], dtype=np.float32)
    b = np.array([-0.0, 1.0, np.nan, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    assert equal_bits(a, b).tolist() == [False, True, True, False]
