"""Tables of several kinds: the roles proposed, what flags change, and files that can be used as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sluice.errors import DataError, SettingsError
from sluice.features.repository import read_service
from sluice.ingest import Ingested, ingest
from sluice.propose import Given, Proposal, propose
from sluice.settings import UseCase, read_use_case
from sluice.simulate import World, write_raw
from sluice.training.candidates import check_candidates

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_raw(World(cards=200, terminals=100, days=60), 3, tmp_path_factory.mktemp("raw")))


def written(proposal: Proposal, folder: Path) -> tuple[UseCase, Ingested]:
    """The proposal's files, read the way a run reads them, and the table ingested with them."""
    case = read_use_case(proposal.write("tried-out", folder))
    read_service(case)
    check_candidates(case)
    return case, ingest(case, now=NOW)


def roles(proposal: Proposal) -> dict[str, str]:
    return {role.column: role.role for role in proposal.roles}


def test_the_simulated_world(world: str, tmp_path: Path) -> None:
    proposal = propose(world)
    assert roles(proposal) == {
        "transaction_id": "event_id",
        "time": "event_time",
        "card_id": "entity",
        "terminal_id": "entity",
        "amount": "value",
        "fraud": "label",
        "fraud_known_at": "label_time",
        "scenario": "ignored",
    }
    assert all(role.reason for role in proposal.roles)
    case, found = written(proposal, tmp_path)
    assert case.task == "binary"
    assert case.data.columns.entities == {"card": "card_id", "terminal": "terminal_id"}
    assert case.data.columns.values["amount"].unit == 0.01
    assert case.split.by == "time"
    assert case.split.gap == timedelta(days=7)
    assert found.quarantine.height == 0
    service = read_service(case)
    assert service is not None
    assert {"card_count_7d", "terminal_label_mean_7d", "card_amount_mean_7d"} <= set(service.names)


def test_flags_are_taken_as_they_are(world: str, tmp_path: Path) -> None:
    given = Given(entities=("terminal_id",), personal=("card_id",), ignored=("fraud_known_at",), event_time="time")
    proposal = propose(world, given, delay="3d")
    found = roles(proposal)
    assert (found["terminal_id"], found["card_id"], found["fraud_known_at"]) == ("entity", "personal", "ignored")
    case, _ = written(proposal, tmp_path)
    assert case.data.columns.personal == {"card_id": "drop"}
    assert case.data.labels.delay == timedelta(days=3)


def test_an_entity_that_is_personal_is_hashed(world: str, tmp_path: Path) -> None:
    given = Given(entities=("card_id",), personal=("card_id",))
    case, found = written(propose(world, given), tmp_path)
    assert case.data.columns.personal == {"card_id": "hash"}
    assert found.events.get_column("card").str.len_chars().unique().to_list() == [32]


def test_a_given_column_that_is_not_there(world: str) -> None:
    with pytest.raises(DataError, match="no column 'Fraud'") as error:
        propose(world, Given(label="Fraud"))
    assert "did you mean 'fraud'" in error.value.hint


def _table(tmp_path: Path, **columns: object) -> str:
    path = tmp_path / "table.csv"
    pl.DataFrame(columns).write_csv(path)
    return str(path)


def test_three_classes_without_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kinds = rng.choice(["setosa", "versicolor", "virginica"], 200)
    source = _table(tmp_path, width=rng.random(200).round(1), length=rng.random(200), species=kinds)
    case, found = written(propose(source), tmp_path / "out")
    assert case.task == "multiclass"
    assert case.data.labels.classes == ["setosa", "versicolor", "virginica"]
    assert case.split.by == "random"
    assert case.features.repo is None
    assert found.events.height == found.labels.height == 200


def test_a_regression_over_time_with_categories_and_personal_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    source = _table(
        tmp_path,
        tripId=[f"t{i:05}" for i in range(500)],
        startedAt=[(start + timedelta(hours=i)).isoformat() for i in range(500)],
        driverId=rng.integers(0, 20, 500),
        customer_email=[f"{i}@example.org" for i in range(500)],
        weather=rng.choice(["sun", "rain", None], 500).tolist(),
        rush=rng.integers(0, 2, 500),
        target=rng.random(500) * 100,
    )
    proposal = propose(source)
    assert roles(proposal) == {
        "tripId": "event_id",
        "startedAt": "event_time",
        "driverId": "entity",
        "customer_email": "personal",
        "weather": "value",
        "rush": "value",
        "target": "label",
    }
    case, found = written(proposal, tmp_path / "out")
    assert case.task == "regression"
    values = case.data.columns.values
    assert (values["weather"].type, values["weather"].missing, values["rush"].type) == ("category", "keep", "boolean")
    assert case.data.columns.personal == {"customer_email": "drop"}
    assert any("nothing says when labels arrive" in note for note in proposal.notes)
    assert found.quarantine.height == 0


def test_a_column_that_tells_the_label_is_not_proposed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    churn = rng.integers(0, 2, 300)
    source = _table(tmp_path, age=rng.integers(18, 80, 300), closed=np.where(churn == 1, "yes", "no"), churn=churn)
    assert roles(propose(source)) == {"age": "value", "closed": "ignored", "churn": "label"}


def test_what_cannot_be_proposed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        propose(str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match="no column looks like a label"):
        propose(_table(tmp_path, note=[f"text {i}" for i in range(50)]))
    with pytest.raises(DataError, match="too few"):
        propose(_table(tmp_path, label=[1]))


def test_nothing_is_overwritten_and_nothing_invalid_is_left(world: str, tmp_path: Path) -> None:
    proposal = propose(world)
    path = proposal.write("mine", tmp_path)
    with pytest.raises(DataError, match="is there already"):
        proposal.write("mine", tmp_path)
    assert proposal.write("mine", tmp_path, overwrite=True) == path
    with pytest.raises(SettingsError):
        proposal.write("Not A Name", tmp_path)
    assert not (tmp_path / "Not A Name.yaml").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("semicolons.csv", b"id;amount;fraud\n1;3,5;0\n2;4,5;1\n", "CSV with commas"),
        ("latin.csv", "id,town,fraud\n1,K\xf6ln,0\n2,Ulm,1\n".encode("latin-1"), "in UTF-8"),
        ("ragged.csv", b"id,amount,fraud\n1,2,0,9\n2,3,1\n", "found more fields"),
        ("not.parquet", b"hello", "cannot be read as Parquet"),
    ],
)
def test_files_that_are_no_tables_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        propose(str(tmp_path / name))
    assert name in caught.value.message


def test_times_that_are_not_read_and_a_label_without_a_second_value_are_pointed_out(tmp_path: Path) -> None:
    days = range(1, 29)
    columns = {
        "id": list(days),
        "timestamp": [1_700_000_000 + 3600 * day for day in days],
        "datum": [f"{day:02d}.01.2024 10:00" for day in days],
        "amount": [float(day) for day in days],
        "label": [0] * len(days),
    }
    pl.DataFrame(columns).write_csv(tmp_path / "table.csv")
    notes = "\n".join(propose(str(tmp_path / "table.csv")).notes)
    assert "timestamp looks like seconds since 1970" in notes
    assert "datum looks like dates that are not ISO 8601" in notes
    assert "amount looks" not in notes
    assert "one value only" in notes
