"""Every planted mistake ends in the quarantine with its reason, and the good rows come through."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from ingest_sources import NOW, START, Read, rows, use_case

from sluice.errors import DataError

LATE = START + timedelta(days=7)


def test_good_rows_become_events_and_labels(read: Read) -> None:
    found = read(rows())
    assert found.events.schema == {
        "event_id": pl.String,
        "event_time": pl.Datetime("us", "UTC"),
        "arrival": pl.Datetime("us", "UTC"),
        "card": pl.String,
        "terminal": pl.String,
        "amount": pl.Int64,
    }
    assert found.labels.schema == {
        "event_id": pl.String,
        "label": pl.Float64,
        "label_time": pl.Datetime("us", "UTC"),
        "event_time": pl.Datetime("us", "UTC"),
        "card": pl.String,
        "terminal": pl.String,
    }
    assert found.events.get_column("amount").to_list() == [1025, 1125, 1225, 1325, 1425, 1525]
    assert found.events.get_column("arrival").equals(found.events.get_column("event_time"))
    assert found.labels.get_column("label").to_list() == [1, 0, 0, 1, 0, 0]
    assert found.quarantine.height == 0
    assert found.counts["rows"] == 6


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"transaction_id": ["t0", None, "t2", "t3", "t4", "t5"]}, "transaction_id: missing"),
        ({"transaction_id": ["t0", "", "t2", "t3", "t4", "t5"]}, "transaction_id: missing"),
        ({"transaction_id": ["t0", "t0", "t2", "t3", "t4", "t5"]}, "transaction_id: duplicate"),
        ({"card_id": [0, None, 2, 0, 1, 2]}, "card_id: missing"),
        (
            {"card_id": [0, 1.5, 2, 0, 1, 2]},
            "card_id: a number that is not whole, or too large to be exact: write it as text",
        ),
        (
            {"card_id": [0, 1e17, 2, 0, 1, 2]},
            "card_id: a number that is not whole, or too large to be exact: write it as text",
        ),
        ({"amount": [1.0, float("inf"), 1, 1, 1, 1]}, "amount: infinite"),
        ({"amount": [1.0, float("nan"), 1, 1, 1, 1]}, "amount: missing"),
        ({"amount": [1.0, None, 1, 1, 1, 1]}, "amount: missing"),
        ({"amount": [1.0, -0.01, 1, 1, 1, 1]}, "amount: below 0"),
        ({"amount": ["1.5", "12,50", "1", "1", "1", "1"]}, "amount: not a number"),
        ({"amount": ["1.5", " 12", "1", "1", "1", "1"]}, "amount: not a number"),
        ({"fraud": [0, 2, 1, 0, 0, 1]}, "fraud: neither 0 nor 1"),
        ({"fraud": ["0", "maybe", "1", "True", "0", "1"]}, "fraud: neither true nor false"),
        (
            {
                "time": [START, NOW + timedelta(seconds=1), *[START] * 4],
                "fraud_known_at": [LATE, NOW + timedelta(days=9), *[LATE] * 4],
            },
            "time: from the future",
        ),
        ({"time": [str(START), "1st of May", *[str(START)] * 4]}, "time: not an ISO 8601 time"),
        ({"time": [START, None, *[START] * 4]}, "time: missing"),
        ({"fraud_known_at": [LATE, START - timedelta(seconds=1), *[LATE] * 4]}, "fraud_known_at: before its event"),
        ({"fraud_known_at": [LATE, None, *[LATE] * 4]}, "fraud_known_at: missing"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason(read: Read, columns: dict[str, list[Any]], reason: str) -> None:
    found = read(rows(6, **columns))
    assert found.quarantine.get_column("reason").to_list() == [reason]
    assert found.quarantine.get_column("row").to_list() == [1]
    assert found.quarantine.get_column("table").to_list() == ["event"]
    assert set(found.counts["reasons"]) == {f"event: {part}" for part in reason.split("; ")}
    assert found.counts["quarantined"] == {"event": 1}
    assert found.events.height == found.labels.height == 5


def test_a_row_with_two_mistakes_counts_once_as_a_row_and_in_both_reasons(read: Read) -> None:
    found = read(rows(6, amount=[-1.0, 1, 1, 1, 1, 1], card_id=[None, 1, 1, 1, 1, 1]))
    assert found.quarantine.get_column("reason").to_list() == ["card_id: missing; amount: below 0"]
    assert found.counts["quarantined"] == {"event": 1}


def test_the_record_is_the_row_as_it_came(read: Read) -> None:
    found = read(rows(2, amount=["x", "1"]))
    record = json.loads(found.quarantine.item(0, "record"))
    assert record["amount"] == "x"
    assert record["transaction_id"] == "t0"


def test_of_two_good_rows_with_one_id_the_first_stays(read: Read) -> None:
    found = read(rows(3, transaction_id=["t0", "t0", "t0"], amount=[-1.0, 2, 3]))
    assert found.events.get_column("amount").to_list() == [200]
    assert found.quarantine.get_column("reason").to_list() == ["amount: below 0", "transaction_id: duplicate"]


def test_too_many_bad_rows_stop_the_run_with_counts(read: Read) -> None:
    with pytest.raises(DataError) as error:
        read(rows(6, amount=[-1.0, -2, None, 1, 1, 1]), use_case(quality={"max_quarantined": 0.4}))
    assert "3 of 6 event rows are bad (50.0%, allowed 40.0%)" in str(error.value)
    assert "2  amount: below 0" in str(error.value)
    assert "events.parquet row 2" in str(error.value)
    assert "max_quarantined" in error.value.hint


def test_the_allowed_share_itself_does_not_stop(read: Read) -> None:
    assert read(rows(4, amount=[-1.0, 1, 1, 1]), use_case(quality={"max_quarantined": 0.25})).events.height == 3


def test_a_tolerance_for_clocks_that_run_ahead(read: Read) -> None:
    ahead = rows(1, time=[NOW + timedelta(seconds=4)], fraud_known_at=[NOW + timedelta(days=1)])
    assert read(ahead, use_case(quality={"future_tolerance": "5s"})).events.height == 1


def test_huge_ids_stay_exact(read: Read) -> None:
    ids = [2**64 - 1, 2**64 - 2, 2**63]
    found = read(rows(3, transaction_id=pl.Series(ids, dtype=pl.UInt64)))
    assert sorted(found.events.get_column("event_id")) == sorted(str(i) for i in ids)
    digits = ["9" * 40, "9" * 39 + "8", "007"]
    assert sorted(read(rows(3, transaction_id=digits), csv=True).events.get_column("event_id")) == sorted(digits)


def test_ids_are_the_same_from_whole_floats_and_integers(read: Read) -> None:
    assert read(rows(card_id=[1.0] * 6)).events.get_column("card").to_list() == ["1"] * 6


def test_missing_values_are_kept_where_the_settings_say_so(read: Read) -> None:
    values = {
        "amount": {"unit": 0.01, "missing": "keep"},
        "shop": {"type": "category", "missing": "keep"},
        "chip": {"type": "boolean", "missing": "keep"},
        "weight": {"missing": "keep"},
    }
    table = rows(
        3,
        amount=[1.0, None, 2],
        shop=["a ", None, ""],
        chip=[True, None, False],
        weight=[0.5, float("nan"), None],
    )
    events = read(table, use_case(columns={"values": values})).events
    assert events.get_column("amount").to_list() == [100, None, 200]
    assert events.get_column("shop").to_list() == ["a ", None, ""]
    assert events.get_column("chip").to_list() == [1, None, 0]
    assert events.get_column("weight").to_list() == [0.5, None, None]
    assert events.get_column("weight").dtype == pl.Float64


def test_csv_and_parquet_give_the_same_content(read: Read) -> None:
    table = rows(50)
    assert read(table).digest == read(table, csv=True).digest


def test_the_order_of_the_rows_does_not_change_the_digest(read: Read) -> None:
    table = rows(50)
    assert read(table).digest == read(table.sample(fraction=1.0, shuffle=True, seed=1)).digest


def test_a_changed_value_changes_the_digest(read: Read) -> None:
    assert read(rows()).digest != read(rows(amount=[10.26, 11.25, 12.25, 13.25, 14.25, 15.25])).digest


def test_ties_are_ordered_by_event_id(read: Read) -> None:
    found = read(rows(4, transaction_id=["b", "a", "d", "c"], time=[START] * 4))
    assert found.events.get_column("event_id").to_list() == ["a", "b", "c", "d"]
