"""One field at a time: what is taken, what is refused, and that nothing else ever happens."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.settings.data import ValueColumn
from sluice_serving import fields

CENTS = ValueColumn(unit=0.01, min=0, max=1000)
KEPT = ValueColumn(missing="keep")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("value", "expected"), [("596", "596"), (596, "596"), (596.0, "596"), (-3, "-3"), ("é x", "é x"), ("0596", "0596")]
)
def test_identifiers_are_written_as_ingest_writes_them(value: Any, expected: str) -> None:
    assert fields.identifier(value) == expected


@pytest.mark.parametrize("value", [None, True, 5.5, [], {}, "", "x" * 257, 2**64, 1e300, float("nan"), float("inf")])
def test_no_identifier(value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        fields.identifier(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1),
        ("1970-01-01t01:00:00.5+01:00", 500_000),
        ("1970-01-01 00:00:00.123456789z", 123_456),
        ("2018-08-08T00:01:14Z", 1_533_686_474_000_000),
        ("2018-08-07T17:01:14-07:00", 1_533_686_474_000_000),
    ],
)
def test_instants(value: str, expected: int) -> None:
    assert fields.instant(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2018-08-08T00:01:14",
        "2018-08-08",
        "20180808T000114Z",
        "2018-W32-3T00:01:14Z",
        "2018-02-30T00:00:00Z",
        "2018-08-08T24:01:14Z",
        "2018-08-08T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "٢٠١٨-08-08T00:01:14Z",
        " 2018-08-08T00:01:14Z",
        1533686474,
        None,
        "",
    ],
)
def test_no_instant(value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|no such day"):
        fields.instant(value)


def test_numbers_come_out_in_whole_units() -> None:
    assert fields.number(57.16, CENTS) == 5716.0
    assert fields.number(57, CENTS) == 5700.0
    assert fields.number(-2.5, ValueColumn()) == -2.5
    assert math.isnan(fields.number(None, KEPT))


@pytest.mark.parametrize("value", [None, "57.16", True, [1], -0.01, 1000.01, 10**400, float("inf"), float("nan")])
def test_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        fields.number(value, CENTS)


def test_a_number_has_to_be_countable_in_its_unit() -> None:
    with pytest.raises(ValueError, match="units"):
        fields.number(1e15, ValueColumn(unit=0.01))


def test_booleans_and_categories() -> None:
    yes = ValueColumn(type="boolean", missing="keep")
    assert [fields.boolean(v, yes) for v in (True, 0, 1.0)] == [1.0, 0.0, 1.0]
    assert math.isnan(fields.boolean(None, yes))
    kind = ValueColumn(type="category", missing="keep")
    assert [fields.category(v, kind) for v in ("a", "", 3, True, None)] == ["a", "", "3", "true", None]


@given(ANYTHING)
def test_whatever_comes_is_read_or_refused_in_words(value: Any) -> None:
    category = ValueColumn(type="category")
    for read in (
        fields.identifier,
        fields.instant,
        lambda v: fields.number(v, CENTS),
        lambda v: fields.boolean(v, ValueColumn(type="boolean")),
        lambda v: fields.category(v, category),
    ):
        try:
            read(value)
        except ValueError as error:
            assert isinstance(error, UnicodeEncodeError) or "expected" in str(error) or "no such day" in str(error)


@given(ANYTHING)
def test_what_was_given_is_shown_short_and_plain(value: Any) -> None:
    shown = fields.shown(value)
    assert len(shown) <= 60
    assert shown.isascii()
