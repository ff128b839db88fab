"""What a reader gets of the ledger's files."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_files import DAY, START, WITHIN, add, requests, responses

from sluice.errors import DataError, IntegrityError
from sluice.ledger import answers, partitions
from sluice.ledger.layout import models
from sluice.ledger.tables import FEATURES, RESPONSES, decode, encode, once, together
from sluice.storage import Store


def test_copies_are_one_and_answers_have_their_requests(store: Store) -> None:
    add(store, "1", requests([1, 2, 3]))
    add(store, "2", responses([1, 2]))
    add(store, "3", responses([2, 4]))
    found = answers(store, "fraud", START, START + DAY, answer_within=WITHIN)
    assert found.frame.get_column("event_id").to_list() == ["e1", "e2", "e4"]
    assert found.frame.get_column("asked").is_null().to_list() == [False, False, True]
    assert found.frame.get_column("event_time")[0] == START - DAY + timedelta(seconds=1)
    assert found.unanswered.get_column("id").to_list() == ["3"]
    assert found.without_request == 1
    assert found.frame.get_column("score").to_list() == pytest.approx([0.001, 0.002, 0.004])


def test_a_copy_for_a_second_service_is_an_event_of_its_own(store: Store) -> None:
    """A gateway copies the caller's id with the request, and all loggers name one source."""
    second = pl.lit("fraud-2").alias("service")
    add(store, "1", requests([1]))
    add(store, "2", requests([1, 2]).with_columns(second))
    add(store, "3", responses([1], version="v1"))
    add(store, "4", responses([1], version="v2").with_columns(second))
    found = answers(store, "fraud", START, START + DAY, answer_within=WITHIN)
    assert sorted(found.frame.select("version", "service").iter_rows()) == [("v1", "fraud"), ("v2", "fraud-2")]
    assert found.frame.get_column("asked").null_count() == 0
    assert found.unanswered.select("id", "service").rows() == [("2", "fraud-2")]


def test_a_window_has_its_beginning_and_not_its_end(store: Store) -> None:
    add(store, "1", responses(range(5)))
    add(store, "2", requests(range(5)))
    inside = answers(store, "fraud", START + timedelta(seconds=1), START + timedelta(seconds=3), answer_within=WITHIN)
    assert inside.frame.get_column("id").to_list() == ["1", "2"]
    assert inside.frame.get_column("asked").null_count() == 0, "a request may lie before the window"
    assert inside.unanswered.height == 0, "an answer may lie after it"


def test_days_and_versions_are_put_together_with_all_their_features(store: Store) -> None:
    add(store, "1", responses([1], version="v1"))
    add(store, "2", responses([2], version="v2", start=START + DAY, features=("b", "c")))
    add(store, "3", responses([3], version="v2", start=START + DAY, features=()))
    found = answers(store, "fraud", START, START + 2 * DAY, answer_within=WITHIN).frame
    assert found.get_column(FEATURES).to_list() == [
        {"a": 0.0, "b": 1.0, "c": None},
        {"a": None, "b": 0.0, "c": 1.0},
        None,
    ]
    only = answers(store, "fraud", START, START + 2 * DAY, answer_within=WITHIN, versions=["v1"]).frame
    assert only.get_column("version").to_list() == ["v1"]
    assert [found.version for found in partitions(store, "fraud")] == ["v1", "v2"]
    assert list(models(store)) == ["fraud"]


def test_an_empty_ledger_has_the_same_columns(store: Store) -> None:
    empty = answers(store, "fraud", START, START + DAY, answer_within=WITHIN)
    assert empty.frame.columns == [*RESPONSES.names(), "asked", "event_time"]
    assert (empty.frame.height, empty.unanswered.height, empty.without_request) == (0, 0, 0)


def test_wrong_windows_and_broken_files_are_told(store: Store) -> None:
    with pytest.raises(DataError, match="no stretch of time"):
        answers(store, "fraud", START, START - DAY, answer_within=WITHIN)
    with pytest.raises(DataError, match="with a zone"):
        answers(store, "fraud", datetime(2026, 1, 1), START, answer_within=WITHIN)
    partition = add(store, "1", responses([1]))
    store.put(f"{partition.prefix}/1.parquet", b"PAR1 no more")
    with pytest.raises(IntegrityError, match="is no Parquet file"):
        answers(store, "fraud", START, START + DAY, answer_within=WITHIN)


def test_features_read_back_to_the_same_bits(store: Store) -> None:
    values = [0.1, -0.0, 1e-38, 3.4e38, None]
    table = responses(range(5)).with_columns(
        pl.struct(pl.Series("a", values, pl.Float32), pl.Series("b", values, pl.Float32)).alias(FEATURES)
    )
    back = decode(encode(table), "here")
    assert back.equals(table)
    assert back.get_column(FEATURES).struct.field("a").reinterpret(signed=False).to_list() == (
        pl.Series(values, dtype=pl.Float32).reinterpret(signed=False).to_list()
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(1, 5))
def test_however_events_are_spread_over_files_each_is_there_once(numbers: list[int], files: int) -> None:
    tables = [responses(numbers[place::files]) for place in range(files)]
    found = once(together(tables, RESPONSES), RESPONSES)
    assert found.get_column("id").to_list() == [str(number) for number in sorted(set(numbers))]
    assert all(a <= b for a, b in pairwise(found.get_column("time")))
