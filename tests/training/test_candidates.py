"""Wrong hyper-parameters are refused before any work, all at once."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.errors import SettingsError
from sluice.settings import parse_use_case, read_use_case
from sluice.training import check_candidates
from sluice.training.parameters import KINDS
from training.small import NETWORK, TREES, document

USE_CASES = ("fraud", "handbook")


def problems(*candidates: dict[str, Any]) -> list[str]:
    use_case = parse_use_case(document("binary", list(candidates)))
    with pytest.raises(SettingsError) as caught:
        check_candidates(use_case)
    return caught.value.problems


def search(**ranges: dict[str, Any]) -> dict[str, Any]:
    return {"trials": 2, "ranges": ranges}


@pytest.mark.parametrize("name", USE_CASES)
def test_the_shipped_use_cases_are_right(name: str, pytestconfig: pytest.Config) -> None:
    check_candidates(read_use_case(pytestconfig.rootpath / "use_cases" / f"{name}.yaml"))


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(
        {"id": "a", "kind": "logistic", "params": {"C": 0, "penalty": "l1"}},
        {"id": "b", "kind": "trees", "params": {"rounds": 10}},
        {"id": "c", "kind": "import", "import": "no-class"},
    )
    text = "\n".join(found)
    assert "training.candidates.1.params.C: Input should be greater than 0" in text
    assert "training.candidates.1.params.penalty: unknown parameter" in text
    assert "training.candidates.2.params.learning_rate: missing" in text
    assert "training.candidates.2.params.max_depth: missing" in text
    assert "training.candidates.3.import: expected package.module:Class, got 'no-class'" in text


@pytest.mark.parametrize(
    ("name", "span", "message"),
    [
        ("depth", {"type": "int", "low": 1, "high": 3}, "search.ranges.depth: trees has no such parameter"),
        ("max_depth", {"type": "int", "low": 0, "high": 3}, "search.ranges.max_depth: Input should be greater"),
        ("max_depth", {"type": "float", "low": 1.0, "high": 3.0}, "max_depth is a whole number: use type int"),
        ("subsample", {"type": "float", "low": 0.5, "high": 1.5}, "Input should be less than or equal to 1"),
        ("method", {"type": "choice", "values": ["hist", "guess"]}, "search.ranges.method: Input should be 'hist'"),
        ("max_depth", {"type": "int", "low": 4, "high": 6}, "params.max_depth: 3 lies outside"),
    ],
)
def test_impossible_ranges_are_refused(name: str, span: dict[str, Any], message: str) -> None:
    found = problems({"id": "a", "kind": "trees", "params": TREES, "search": search(**{name: span})})
    assert len(found) == 1
    assert message in found[0]


def test_a_parameter_that_only_a_range_names_has_no_first_trial() -> None:
    params = {name: value for name, value in NETWORK.items() if name != "width"}
    span = {"type": "int", "low": 8, "high": 16}
    found = problems({"id": "a", "kind": "network", "params": params, "search": search(width=span)})
    assert found == ["training.candidates.1.params.width: missing"]


def test_every_parameter_without_a_telling_name_is_explained() -> None:
    assert all(model.__doc__ for model in KINDS.values())
