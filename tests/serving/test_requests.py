"""Bodies: every mistake named by row and field, and the columns that features are composed from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from serving_world import case

from sluice.ingest.personal import pseudonym
from sluice_serving.requests import InvalidRequestError, RequestReader

GOOD = {"event_id": "e1", "event_time": "2018-08-08T00:01:14Z", "card": "596", "terminal": 3156, "amount": 57.16}


def test_columns_of_a_good_body() -> None:
    requests = RequestReader(case()).read_v1({"instances": [GOOD, {**GOOD, "event_id": 7}]})

    assert requests.event_id == ["e1", "7"]
    assert requests.event_time_us.tolist() == [1_533_686_474_000_000] * 2
    assert requests.entities == {"card": ["596", "596"], "terminal": ["3156", "3156"]}
    np.testing.assert_array_equal(requests.values["amount"], [5716.0, 5716.0])


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ([], 400, "body"),
        (None, 400, "body"),
        (b"\xff", 400, "body"),
        ({}, 400, "instances"),
        ({"instances": {"a": 1}}, 400, "instances"),
        ({"instances": []}, 422, "instances"),
        ({"instances": [GOOD] * 51}, 413, "instances"),
        ({"instances": [[1, 2]]}, 422, "row 0, instances"),
        ({"instances": [GOOD, {**GOOD, "card": None}]}, 422, "row 1, card"),
        ({"instances": [{**GOOD, "event_time": "2018-08-08T00:01:14"}]}, 422, "row 0, event_time"),
        ({"instances": [{**GOOD, "amount": "12"}]}, 422, "row 0, amount"),
        ({"instances": [{**GOOD, "card": "\ud800"}]}, 422, "row 0, card"),
        ({"instances": [{**GOOD, "amnt": 1}]}, 422, "row 0, 'amnt'"),
        ({"instances": [{k: v for k, v in GOOD.items() if k != "terminal"}]}, 422, "row 0, terminal"),
    ],
)
def test_mistakes_are_named(body: Any, status: int, named: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        RequestReader(case()).read_v1(body)
    assert caught.value.status == status
    assert named in caught.value.message


def test_all_mistakes_at_once_but_not_endlessly() -> None:
    with pytest.raises(InvalidRequestError, match="and 40 more") as caught:
        RequestReader(case()).read_v1({"instances": [{**GOOD, "card": None}] * 50})
    assert [problem["row"] for problem in caught.value.problems] == list(range(10))


def test_personal_columns_are_hashed_as_ingest_hashes_them() -> None:
    settings = case(data={"columns": {**case().data.columns.model_dump(), "personal": {"card_id": "hash"}}})

    by_name = RequestReader(settings).read_v1({"instances": [GOOD]})
    by_secret = RequestReader(settings, b"secret").read_v1({"instances": [GOOD]})

    assert by_name.entities["card"] == [pseudonym("596", b"fraud")]
    assert by_secret.entities["card"] == [pseudonym("596", b"secret")]


def test_tables_without_time_need_none() -> None:
    columns = {**case().data.columns.model_dump(), "event_time": None, "label_time": None, "entities": {}}
    settings = case(
        data={"columns": columns},
        features={"repo": None, "service": None, "request": [{"kind": "value", "name": "amount", "column": "amount"}]},
        split={"by": "random"},
    )
    row = {"event_id": "a", "amount": 1}
    assert RequestReader(settings).read_v1({"instances": [row]}).event_time_us.tolist() == [0]


def test_an_entity_that_all_events_share_need_not_be_sent() -> None:
    plain = case()
    columns = plain.data.columns.model_copy(update={"entities": {"card": "card_id", "terminal": "=all"}})
    shared = plain.model_copy(update={"data": plain.data.model_copy(update={"columns": columns})})
    alone = {name: value for name, value in GOOD.items() if name != "terminal"}
    reader = RequestReader(shared)
    assert reader.read_v1({"instances": [alone, {**alone, "terminal": "all"}]}).entities["terminal"] == ["all", "all"]
    with pytest.raises(InvalidRequestError, match="row 0, terminal: is always 'all'"):
        reader.read_v1({"instances": [GOOD]})
