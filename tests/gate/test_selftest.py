"""The self-test on a small world: broken challengers are refused, by a check that fits, and the sound one passes."""

from __future__ import annotations

import pytest

from sluice.gate.selftest import Material, SelfTest, Trained, selftest
from tests.gate.worlds import VIEWS, Small, constant_graph, looked_up, small_world, trained_graph, use_case

EXPECTED = {
    "scores inverted": "ladder",
    "scores constant": "sane",
    "scores shuffled between rows": "serving parity",
    "scores far too sure": "calibration",
    "one slice broken": "slices",
    "scores that are no numbers": "sane",
    "the champion's own copy": "not the champion",
    "the champion's graph, renamed": "not the champion",
    "trained on sealed rows": "lineage",
    "label leaked into a feature": "features recomputed",
    "a feature that looks one row ahead": "features recomputed",
    "scaler skipped": "champion",
    "columns in another order": "sane",
    "stale state": "serving parity",
    "another graph is served": "served graph",
    "five times slower": "latency",
    "too large": "size",
}


@pytest.fixture(scope="module")
def small() -> Small:
    return small_world(3, use_case(gate__max_calibration_error=0.05, gate__budgets__size=200_000))


@pytest.fixture(scope="module")
def material(small: Small) -> Material:
    simple = trained_graph(small, ["amount", "night"])
    return Material(
        use_case=small.use_case,
        current=Trained("logistic", trained_graph(small), small.schema, small.train_rows),
        ladder=[
            Trained("constant", constant_graph(small), small.schema, small.train_rows),
            Trained("amount only", simple, small.schema, small.train_rows),
        ],
        rows=small.sealed,
        events=small.events,
        labels=small.labels,
        views=VIEWS,
        look_up=lambda _, events, labels: looked_up(small, events, labels),
        seed=5,
    )


@pytest.fixture(scope="module")
def result(material: Material) -> SelfTest:
    return selftest(material)


def test_the_sound_challenger_passes(result: SelfTest) -> None:
    sound = result.rows[0]
    assert not sound.refused, sound.text


@pytest.mark.parametrize("name", EXPECTED)
def test_a_broken_challenger_is_refused_by_the_check_that_fits(result: SelfTest, name: str) -> None:
    row = next(row for row in result.rows if row.name == name)
    assert row.refused, row
    assert EXPECTED[name] in row.by, row


def test_every_broken_challenger_is_expected_somewhere(result: SelfTest) -> None:
    assert {row.name for row in result.rows if row.broken} == set(EXPECTED)
    assert len(EXPECTED) >= 12
    assert result.passed
    assert result.document()["passed"]
