"""The use case files of the repository are right; every mistake in a wrong one is told, at once, with its path."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import SettingsError
from sluice.settings import UseCase, parse_sections, parse_use_case, read_use_case, sections_document

USE_CASES = sorted((Path(__file__).parents[2] / "use_cases").glob("*.yaml"))
FRAUD = Path(__file__).parents[2] / "use_cases" / "fraud.yaml"

Bend = dict[str, Any]


def bent(changes: Bend) -> dict[str, Any]:
    """fraud.yaml with dotted paths set to other values; `...` takes one away."""
    document: dict[str, Any] = copy.deepcopy(yaml.safe_load(FRAUD.read_text(encoding="utf-8")))
    for dotted, value in changes.items():
        here: Any = document
        *way, last = [int(part) if part.isdigit() else part for part in dotted.split(".")]
        for part in way:
            here = here[part] if isinstance(here, list) else here.setdefault(part, {})
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return document


def problems(changes: Bend) -> list[str]:
    with pytest.raises(SettingsError) as error:
        parse_use_case(bent(changes))
    return error.value.problems


@pytest.mark.parametrize("path", USE_CASES, ids=lambda p: p.stem)
def test_the_files_of_the_repository_are_right_and_come_back(path: Path) -> None:
    use_case = read_use_case(path)
    document = json.loads(json.dumps(use_case.model_dump(mode="json", by_alias=True)))
    assert parse_use_case(document) == use_case


def test_settings_are_frozen() -> None:
    use_case = read_use_case(FRAUD)
    with pytest.raises(ValueError, match="frozen"):
        use_case.seed = 8  # type: ignore[misc]


_DAYS = st.integers(1, 300).map(lambda n: f"{n}d")
_BENDS: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 2**31 - 1),
    "split.train": st.integers(10, 99).map(lambda n: f"{n}d"),
    "split.test": _DAYS,
    "split.test_end": st.datetimes().map(lambda d: d.isoformat() + "+02:00"),
    "data.start": st.datetimes(max_value=datetime(2018, 9, 1)).map(lambda d: d.isoformat() + "Z"),
    "data.labels.delay": st.sampled_from(["0s", "1us", "90m", "7d", "1w"]),
    "data.time_zone": st.sampled_from(["UTC", "Europe/Brussels", "Asia/Kathmandu"]),
    "data.columns.personal": st.sampled_from([{}, {"email": "drop"}, {"card_id": "hash"}]),
    "gate.budgets.size": st.sampled_from(["64MiB", 10**9, "1.5GB"]),
    "training.margin": st.floats(0, 1),
    "training.candidates.3.search": st.sampled_from(
        [
            None,
            {"trials": 3, "ranges": {"width": {"type": "int", "low": 8, "high": 64, "log": True}}},
            {"trials": 2, "timeout_seconds": 1.5, "ranges": {"dropout": {"type": "choice", "values": [0, 0.5, None]}}},
        ]
    ),
    "features.request.1": st.sampled_from(
        [
            {"kind": "hours", "name": "evening", "from_hour": 22, "to_hour": 6, "time_zone": "Europe/Brussels"},
            {"kind": "value", "name": "same", "column": "amount"},
        ]
    ),
    "evaluation.slices": st.sampled_from([[], [{"column": "amount", "bounds": [1, 2.5]}]]),
    "storage.url": st.sampled_from(["s3://bucket/prefix", "/tmp/store"]),
}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(_BENDS)), st.none(), max_size=8), st.data())
def test_every_use_case_comes_back_from_its_document(which: dict[str, None], data: st.DataObject) -> None:
    use_case = parse_use_case(bent({"evaluation.slices": []} | {path: data.draw(_BENDS[path]) for path in which}))
    document = json.loads(json.dumps(use_case.model_dump(mode="json", by_alias=True)))
    assert parse_use_case(document) == use_case
    names = ("name", "task", "data", "split")
    assert parse_sections(sections_document(use_case, names)).data == use_case.data


def test_all_mistakes_at_once_each_with_its_path() -> None:
    found = problems(
        {
            "sed": 7,
            "seed": "7",
            "data.columns.values.amount.unit": 0,
            "data.columns.labl": "fraud",
            "split.train": "7 days",
            "training.candidates.2.kind": "tree",
            "gate.metric": "rmse",
            "evaluation.bootstrap.cluster": "shop",
            "export.tolerance": ...,
        }
    )
    paths = [problem.split(": ", 1)[0] for problem in found]
    assert sorted(paths) == sorted(
        [
            "sed",
            "seed",
            "data.columns.values.amount.unit",
            "data.columns.labl",
            "split.train",
            "training.candidates.2.kind",
        ]
    )
    with pytest.raises(SettingsError) as error:
        parse_use_case(bent({"sed": 7, "seed": "7"}), "use_cases/fraud.yaml")
    assert str(error.value).startswith("use_cases/fraud.yaml: 2 mistakes\n  - seed: ")


def test_contradictions_are_told_beside_wrong_types() -> None:
    found = problems({"serving.port": "80", "gate.metric": "rmse", "evaluation.bootstrap.cluster": "shop"})
    assert [p.split(": ", 1)[0] for p in found] == [
        "serving.port",
        "gate.metric",
        "evaluation.bootstrap.cluster",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": "7"}, "seed: Input should be a valid integer, got '7'"),
        ({"seed": True}, "seed: Input should be a valid integer, got True"),
        ({"training.margin": "0.1"}, "training.margin: Input should be a valid number, got '0.1'"),
        ({"export.int8.enabled": "yes"}, "export.int8.enabled: Input should be a valid boolean, got 'yes'"),
        ({"gate.alpha": float("nan")}, "gate.alpha: Input should be a finite number, got nan"),
        ({"gate": ...}, "gate: missing"),
        ({"split.train": ...}, "split.train: missing"),
        ({"split.by": "day"}, "split: "),
        ({"split.trian": "7d"}, "split.trian: unknown setting"),
        ({"split.test_end": "2018-09-01"}, "split.test_end: write the instant with its zone"),
        ({"features.request.0.kind": "mean"}, "features.request.0: "),
        ({"features.request.1.hour": 3}, "features.request.1.hour: unknown setting"),
        ({"training.candidates.2.params.rounds": {"a": 1}}, "training.candidates.2.params.rounds: "),
        ({"data.time_zone": "Mars/Olympus"}, "data.time_zone: expected a time zone"),
        ({"name": "Fraud Model"}, "name: "),
    ],
)
def test_one_mistake_is_one_line_with_its_path(changes: Bend, said: str) -> None:
    found = problems(changes)
    assert len(found) == 1, found
    assert found[0].startswith(said)


def test_overrides_lie_over_the_file() -> None:
    use_case = read_use_case(FRAUD, {"data.source": "elsewhere", "storage.url": "s3://b", "seed": None})
    assert (use_case.data.source, use_case.storage.url, use_case.seed) == ("elsewhere", "s3://b", 7)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda _: None, "there is no such file"),
        (lambda p: p.mkdir(), "cannot be read"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00bad"), "cannot be read"),
        (lambda p: p.write_text("a: [1, 2"), "is not YAML"),
        (lambda p: p.write_text("- a\n- b"), "expected a mapping of sections, got list"),
        (lambda p: p.write_text(""), "expected a mapping of sections, got NoneType"),
    ],
)
def test_files_that_are_no_use_case(tmp_path: Path, write: Callable[[Path], Any], said: str) -> None:
    write(tmp_path / "case.yaml")
    with pytest.raises(SettingsError, match=r"case\.yaml: 1 mistake") as error:
        read_use_case(tmp_path / "case.yaml")
    assert said in error.value.problems[0]


def test_sections_alone_do_not_pretend_to_be_the_whole() -> None:
    part = parse_sections(sections_document(read_use_case(FRAUD), ["name", "data"]))
    assert isinstance(part, UseCase)
    with pytest.raises(AttributeError):
        _ = part.gate
