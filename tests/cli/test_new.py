"""`sluice new`: what it writes can be run as it is, flags are taken, and mistakes are told in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from sluice.errors import SluiceError
from sluice.planning import check_use_case
from sluice.settings import UseCase, read_use_case
from sluice_cli.main import app


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CSV of rides; commands run in its folder."""
    random = np.random.default_rng(1)
    at = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 3, 1), "4h", eager=True)
    count = len(at)
    pl.DataFrame(
        {
            "ride_id": [f"r{i}" for i in range(count)],
            "start": at,
            "driver_id": [f"d{i}" for i in random.integers(0, 9, count)],
            "km": random.gamma(3, 2, count).round(1),
            "weather": random.choice(["dry", "rain"], count),
            "passenger_email": [f"p{i}@example.com" for i in random.integers(0, 99, count)],
            "late": random.integers(0, 2, count),
            "reported": at.dt.offset_by("5h"),
        }
    ).write_csv(tmp_path / "rides.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "rides.csv"


def new(*arguments: str) -> str:
    """What the command prints; an error is raised as it is told."""
    result = CliRunner().invoke(app, ["new", *arguments], catch_exceptions=True)
    if isinstance(result.exception, SluiceError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def written(name: str = "rides") -> UseCase:
    return read_use_case(Path("use_cases") / f"{name}.yaml")


def test_what_it_writes_is_accepted_as_it_is(table: Path) -> None:
    said = new("rides", "--from", table.name, "--yes")
    assert "sluice check use_cases/rides.yaml" in said and "every row has its own" in said
    columns = check_use_case(written().model_dump(mode="json", by_alias=True)).data.columns
    assert (columns.event_id, columns.event_time) == ("ride_id", "start")
    assert (columns.label, columns.label_time) == ("late", "reported")
    assert columns.entities == {"driver": "driver_id"}
    assert {name: value.type for name, value in columns.values.items()} == {"km": "number", "weather": "category"}
    assert columns.personal == {"passenger_email": "drop"}


def test_without_a_terminal_it_writes_without_asking(table: Path) -> None:
    new("rides", "--from", table.name)
    assert written().name == "rides"


def test_flags_override_what_the_columns_look_like(table: Path) -> None:
    flags = ("--label", "km", "--task", "regression", "--entity", "weather", "--value", "late", "--ignore", "ride_id")
    new("rides", "--from", table.name, *flags, "--personal", "weather", "--yes")
    use_case = written()
    columns = use_case.data.columns
    assert use_case.task == "regression" and columns.label == "km"
    assert columns.event_id is None, "ids are made of the rows' contents"
    assert columns.entities == {"weather": "weather"} and columns.personal["weather"] == "hash"
    assert set(columns.values) == {"late"}
    check_use_case(use_case.model_dump(mode="json", by_alias=True))


def test_a_delay_is_taken_where_no_column_says_when_labels_come(table: Path) -> None:
    new("rides", "--from", table.name, "--ignore", "reported", "--delay", "36h", "--yes")
    use_case = written()
    assert use_case.data.labels.delay is not None and use_case.data.labels.delay.total_seconds() == 36 * 3600
    assert use_case.split.by == "time" and use_case.split.gap == use_case.data.labels.delay


def test_a_use_case_that_is_there_stays(table: Path) -> None:
    new("rides", "--from", table.name, "--yes")
    mine = Path("use_cases/rides.yaml").read_text() + "# mine\n"
    Path("use_cases/rides.yaml").write_text(mine)
    with pytest.raises(SluiceError, match=r"use_cases/rides\.yaml is there already"):
        new("rides", "--from", table.name, "--yes")
    assert Path("use_cases/rides.yaml").read_text() == mine
    new("rides", "--from", table.name, "--yes", "--overwrite")
    assert "# mine" not in Path("use_cases/rides.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rides", "--from", "nowhere.csv"), r"nowhere\.csv: there is no such file"),
        (("rides", "--from", "rides.csv", "--label", "lat"), "no column 'lat'"),
        (("rides", "--from", "rides.csv", "--task", "guessing"), "task"),
        (("rides", "--from", "rides.csv", "--delay", "soon"), "soon"),
        (("My Rides", "--from", "rides.csv"), "name"),
        (("../rides", "--from", "rides.csv"), "name"),
        (("rides", "--from", "rides.csv", "--label", "km", "--task", "binary"), "binary"),
        (("rides", "--from", "rides.csv", "--entity", "driver_id", "--event-id", "driver_id"), "driver_id"),
    ],
)
def test_bad_flags_are_told_in_words_and_write_nothing(table: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(SluiceError, match=said) as caught:
        new(*arguments, "--yes")
    assert caught.value.hint
    assert not Path("use_cases").exists() and sorted(table.parent.iterdir()) == [table]
