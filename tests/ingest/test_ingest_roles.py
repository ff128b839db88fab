"""Roles: labels and their arrival, events without id or time, late events, personal data, samples."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_sources import NOW, START, Read, rows, use_case

from sluice.errors import DataError
from sluice.ingest import pseudonym
from sluice.ingest.personal import share_of
from sluice.simulate import World, simulate

DAY = timedelta(days=1)
LABELS_APART = {"label": None, "label_time": None}


def _stream(labels: pl.DataFrame) -> list[tuple[Any, ...]]:
    days = (pl.col("label_time") - START).dt.total_hours() / 24
    return labels.select("event_id", "label", days).rows()


def test_a_delay_where_the_label_has_no_time_of_its_own(read: Read) -> None:
    found = read(rows(2), use_case(columns={"label_time": None}, labels={"delay": "2d"}))
    assert found.labels.get_column("label_time").to_list() == [START + 2 * DAY, START + 2 * DAY + timedelta(hours=1)]


def test_a_delay_fills_the_label_times_that_are_missing(read: Read) -> None:
    found = read(rows(2, fraud_known_at=[START + DAY, None]), use_case(labels={"delay": "7d"}))
    assert _stream(found.labels) == [("t0", 1.0, 1.0), ("t1", 0.0, pytest.approx(7 + 1 / 24))]


def test_an_event_without_a_label_stays_an_event(read: Read) -> None:
    found = read(rows(3, fraud=[1, None, 0]))
    assert found.events.height == 3
    assert set(found.labels.get_column("event_id")) == {"t0", "t2"}


def test_labels_that_have_not_arrived_are_not_known(read: Read) -> None:
    found = read(rows(6), now=START + 7 * DAY + timedelta(hours=2))
    assert found.labels.get_column("event_id").to_list() == ["t0", "t1", "t2"]


def test_silence_becomes_a_negative_and_a_late_positive_corrects_it(read: Read) -> None:
    table = rows(3, time=[START] * 3, fraud=[1, None, 1], fraud_known_at=[START + DAY, None, START + 9 * DAY])
    found = read(table, use_case(labels={"negative_after": "5d"}))
    assert _stream(found.labels) == [("t0", 1, 1), ("t1", 0, 5), ("t2", 0, 5), ("t2", 1, 9)]


def _label_table(folder: Path, **columns: list[Any]) -> dict[str, Any]:
    pl.DataFrame(columns).write_csv(folder / "labels.csv")
    return {"source": str(folder / "labels.csv")}


def test_labels_of_their_own_with_corrections(read: Read, tmp_path: Path) -> None:
    labels = _label_table(
        tmp_path,
        event_id=["t1", "t0", "t0", "t0", "stranger", None],
        label=[0, 1, 1, 0, 1, 1],
        label_time=[str(START + n * DAY) for n in (1, 1, 2, 3, 1, 1)],
    )
    found = read(rows(2, time=[START] * 2), use_case(columns=LABELS_APART, labels=labels))
    assert _stream(found.labels) == [("t0", 1, 1), ("t1", 0, 1), ("t0", 0, 3)]
    assert found.counts["labels_without_event"] == 1
    assert found.counts["reasons"] == {"label: event_id: missing": 1}
    assert found.quarantine.get_column("table").to_list() == ["label"]


def test_a_label_table_with_the_names_of_the_settings_and_a_delay(read: Read, tmp_path: Path) -> None:
    labels = _label_table(tmp_path, transaction_id=["t0"], outcome=[1]) | {"delay": "1d", "negative_after": "3d"}
    found = read(rows(2, time=[START] * 2), use_case(columns={"label": "outcome", "label_time": None}, labels=labels))
    assert _stream(found.labels) == [("t0", 1, 1), ("t1", 0, 3)]


def test_a_label_before_its_event_in_a_table_of_its_own(read: Read, tmp_path: Path) -> None:
    times = [str(START - DAY), str(START + DAY)]
    labels = _label_table(tmp_path, event_id=["t0", "t1"], label=[1, 1], label_time=times)
    found = read(rows(2, time=[START] * 2), use_case(columns=LABELS_APART, labels=labels))
    assert found.labels.get_column("event_id").to_list() == ["t1"]
    assert found.quarantine.get_column("reason").to_list() == ["label_time: before its event"]


def test_labels_of_other_events_altogether(read: Read, tmp_path: Path) -> None:
    labels = _label_table(tmp_path, event_id=["x"], label=[1], label_time=[str(START + DAY)])
    with pytest.raises(DataError, match="none of its 1 labels belongs to an event"):
        read(rows(), use_case(columns=LABELS_APART, labels=labels))
    labels = _label_table(tmp_path, event_id=["x"], outcome=[1])
    with pytest.raises(DataError, match="no column 'label'; it has event_id, outcome"):
        read(rows(), use_case(columns=LABELS_APART, labels=labels | {"delay": "1d"}))


def test_classes_become_their_index(read: Read) -> None:
    case = use_case(labels={"classes": ["no", "yes"]})
    found = read(rows(3, fraud=["yes", "no", "maybe"]), case)
    assert found.labels.get_column("label").to_list() == [1.0, 0.0]
    assert found.quarantine.get_column("reason").to_list() == ["fraud: not among data.labels.classes"]


def test_a_late_event_arrives_later_and_never_before_it_happened(read: Read) -> None:
    seen = [START + DAY, START - DAY, START + 2000 * DAY, None]
    case = use_case(columns={"arrival": "seen"})
    found = read(rows(4, time=[START] * 4, seen=seen), case, now=START + 1000 * DAY)
    assert found.events.select("event_id", "arrival").rows() == [("t0", START + DAY)]
    assert found.counts["reasons"] == {"event: seen: missing": 1, "event: seen: before its event": 1}
    assert found.counts["not_arrived"] == 1


def test_start_and_end(read: Read) -> None:
    case = use_case(start="2018-04-01T01:00:00Z", end="2018-04-09T00:00:00Z")
    found = read(rows(6), case)
    assert found.events.get_column("event_id").to_list() == ["t1", "t2", "t3", "t4", "t5"]
    assert found.counts["before_start"] == 1
    assert set(found.labels.get_column("event_id")) <= set(found.events.get_column("event_id"))
    with pytest.raises(DataError, match="no event is left: before start 6"):
        read(rows(6), use_case(start="2029-01-01T00:00:00Z"))


def test_rows_without_an_id_get_one_of_their_content(read: Read) -> None:
    case = use_case(columns={"event_id": None})
    table = rows(4, time=[START] * 4, card_id=[1] * 4, terminal_id=[1] * 4, amount=[1.0, 1.0, 2.0, 1.0])
    table = table.drop("transaction_id")
    ids = read(table, case).events.get_column("event_id").to_list()
    assert len(set(ids)) == 4
    other_labels = table.with_columns(fraud=1 - pl.col("fraud"), fraud_known_at=pl.col("fraud_known_at") + DAY)
    assert read(other_labels, case).events.get_column("event_id").to_list() == ids


def test_a_table_without_time(read: Read) -> None:
    split = {"split": {"by": "random"}, "features": {"request": [{"kind": "value", "name": "a", "column": "amount"}]}}
    split["evaluation"] = {}
    case = use_case(columns={"event_time": None, "label_time": None}, top=split)
    found = read(rows(3).drop("time", "fraud_known_at"), case)
    assert found.events.get_column("event_time").dt.epoch("us").to_list() == [0, 1, 2]
    assert found.labels.get_column("label_time").dt.epoch("us").to_list() == [0, 1, 2]


def test_personal_columns_are_hashed_or_gone_everywhere(read: Read) -> None:
    case = use_case(columns={"personal": {"card_id": "hash", "email": "drop", "phone": "hash"}})
    table = rows(3, amount=[-1.0, 1, 1], email=["a@b.c"] * 3, phone=["+32 1", None, "+32 1"])
    found = read(table, case, pseudonym_key=b"secret")
    assert found.events.get_column("card").to_list() == [pseudonym("1", b"secret"), pseudonym("2", b"secret")]
    record = json.loads(found.quarantine.item(0, "record"))
    assert "email" not in record
    assert record["card_id"] == pseudonym("0", b"secret")
    assert record["phone"] == pseudonym("+32 1", b"secret")
    assert read(table, case).events.item(0, "card") != found.events.item(0, "card")


def test_a_personal_column_that_is_not_there(read: Read) -> None:
    with pytest.raises(DataError, match="no column 'e_mail'"):
        read(rows(email=["a"] * 6), use_case(columns={"personal": {"e_mail": "drop"}}))


def test_a_sample_keeps_whole_entities(read: Read) -> None:
    table, _ = simulate(World(cards=200, terminals=100, days=10), 1)
    whole, half = read(table), read(table, sample=0.5)
    cards = set(half.events.get_column("card"))
    assert 70 < len(cards) < 130
    assert half.events.equals(whole.events.filter(pl.col("card").is_in(cards)))
    assert half.labels.equals(whole.labels.filter(pl.col("card").is_in(cards)))
    assert half.counts["not_sampled"] == whole.events.height - half.events.height
    assert cards <= set(read(table, sample=0.7).events.get_column("card"))
    by_terminal = read(table, sample=0.5, sample_entity="terminal")
    assert by_terminal.events.get_column("terminal").n_unique() < 70
    with pytest.raises(DataError, match="cannot sample by 'shop'"):
        read(table, sample=0.5, sample_entity="shop")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=20))
def test_shares_depend_on_the_id_alone(ids: list[str]) -> None:
    shares = share_of(pl.Series(ids))
    assert shares.is_between(0, 1, closed="left").all()
    assert shares.to_list() == [share_of(pl.Series([one])).item() for one in ids]


def test_the_handbooks_transactions() -> None:
    path = Path(__file__).parents[2] / ".." / "shared" / "data" / "handbook" / "transactions.parquet"
    if not path.exists():
        pytest.skip(f"the handbook's transactions are not at {path}")
    from sluice.ingest import ingest
    from sluice.settings import read_use_case

    case = read_use_case(Path(__file__).parents[2] / "use_cases" / "handbook.yaml")
    found = ingest(case, source=str(path), now=NOW, sample=0.1)
    assert found.counts["rows"] == 1_504_628
    assert found.quarantine.height == 0
    delay = found.labels.get_column("label_time") - found.labels.get_column("event_time")
    assert (delay == 7 * DAY).all()


def test_an_entity_that_all_events_share(read: Read) -> None:
    found = read(rows(3), use_case(columns={"entities": {"card": "card_id", "terminal": "terminal_id", "all": "=all"}}))
    assert found.events.get_column("all").to_list() == ["all"] * 3
    assert found.labels.get_column("all").to_list() == ["all"] * 3


def test_the_secret_of_pseudonyms_comes_from_the_file_that_the_settings_name(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")
    case = use_case(pseudonym_key=str(secret), columns={"personal": {"card_id": "hash"}})
    found = read(rows(1), case).events.get_column("card").to_list()
    assert found == [pseudonym("0", b"0123456789abcdef")]

    secret.write_text("short")
    with pytest.raises(DataError, match="too few"):
        read(rows(1), case)
    secret.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read(rows(1), case)
