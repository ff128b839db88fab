"""The second name of a served version: vectors that somebody composed get the score of the row that they came from."""

from __future__ import annotations

import re
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferInput, InferRequest
from serving_world import JSON, WITHIN, Deployed, WorldTables, body, instance

from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice_serving.composed import VectorReader
from sluice_serving.requests import InvalidRequestError
from sluice_serving.traffic.observed import read_counts

COMPOSED, V2 = "/v1/models/fraud-features:predict", "/v2/models/fraud-features/infer"
SCHEMA = FeatureSchema(
    (FeatureColumn("amount"), FeatureColumn("count", fill=3.0), FeatureColumn("shop", "category", vocabulary=("a",)))
)


@pytest.fixture(scope="module")
def client(endpoint: str) -> Any:
    with httpx.Client(base_url=endpoint, timeout=WITHIN, headers=JSON) as client:
        yield client


@pytest.fixture(scope="module")
def answered(client: httpx.Client, world: WorldTables) -> list[dict[str, Any]]:
    rows = [instance(row) for row in world.day.head(20).iter_rows(named=True)]
    found: list[dict[str, Any]] = client.post("/v1/models/fraud:predict", content=body(*rows)).json()["predictions"]
    return found


def test_a_vector_has_the_score_of_its_row(
    client: httpx.Client, answered: list[dict[str, Any]], deployed: Deployed
) -> None:
    names = list(deployed.schema.names)
    vectors = [row["features"] for row in answered]
    answer = client.post(COMPOSED, json={"instances": vectors, "feature_names": names}).json()
    assert "predictions" in answer, answer
    assert [each["score"] for each in answer["predictions"]] == [row["score"] for row in answered]
    assert (answer["model_name"], answer["model_version"]) == ("fraud-features", deployed.digest)
    named = [dict(zip(reversed(names), reversed(vector), strict=True)) for vector in vectors]
    assert client.post(COMPOSED, json={"instances": named}).json()["predictions"] == answer["predictions"]


def test_v2_gives_the_same(client: httpx.Client, answered: list[dict[str, Any]]) -> None:
    vectors = [row["features"] for row in answered]
    tensor = {"name": "features", "shape": [20, len(vectors[0])], "datatype": "FP32", "data": vectors}
    answer = client.post(V2, json={"inputs": [tensor]}).json()
    assert answer["outputs"][0]["data"] == [row["score"] for row in answered]
    described = client.get("/v2/models/fraud-features").json()
    assert described["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, len(vectors[0])]}]


def test_it_counts_apart_from_what_a_rollout_judges_by(client: httpx.Client, answered: list[dict[str, Any]]) -> None:
    before = client.get("/metrics").text
    client.post(COMPOSED, json={"instances": [answered[0]["features"]] * 7})
    after = client.get("/metrics").text
    assert read_counts(after) == read_counts(before)
    count = [float(re.findall(r"^sluice_composed_rows_total (.+)$", text, re.M)[0]) for text in (before, after)]
    assert count[1] - count[0] == 7


@pytest.mark.parametrize(
    ("change", "status", "field", "problem"),
    [
        (lambda b: b["instances"][0].pop(), 422, "instances", "in the order of feature_names, got"),
        (lambda b: b["instances"].__setitem__(0, {"amount": 1.0}), 422, "card_count_1d", "is missing"),
        (lambda b: b["instances"][0].__setitem__(0, "many"), 422, "card_count_1d", "expected a number, got 'many'"),
        (lambda b: b["instances"][0].__setitem__(0, True), 422, "card_count_1d", "expected a number, got True"),
        (lambda b: b["instances"][0].__setitem__(0, 1e39), 422, "card_count_1d", "that float32 holds"),
        (lambda b: b.__setitem__("feature_names", ["x"]), 422, "feature_names", "expected card_count_1d"),
        (lambda b: b["instances"].__setitem__(0, 4), 422, "instances", "expected a list or an object, got 4"),
        (lambda b: b.__setitem__("instances", []), 422, "instances", "at least one row"),
        (lambda b: b.__setitem__("instances", [[]] * 51), 413, "instances", "at most 50 rows"),
        (lambda b: b.pop("instances"), 400, "instances", "expected a list of objects, got nothing"),
    ],
)
def test_what_is_no_vector_is_named(
    client: httpx.Client, answered: list[dict[str, Any]], change: Any, status: int, field: str, problem: str
) -> None:
    given = {"instances": [list(answered[0]["features"])]}
    change(given)
    answer = client.post(COMPOSED, json=given)
    assert answer.status_code == status
    assert any(p["field"] == field and problem in p["problem"] for p in answer.json()["problems"]), answer.text


def test_missing_numbers_are_filled_as_in_a_row_and_codes_are_checked() -> None:
    reader = VectorReader(SCHEMA, 10)
    found = reader.read_v1({"instances": [[None, None, 2], [1, 2, 0]]})
    assert np.array_equal(found, np.array([[np.nan, 3, 2], [1, 2, 0]], np.float32), equal_nan=True)
    for code in (3, -1, 0.5, None):
        with pytest.raises(InvalidRequestError, match="row 1, shop: expected a code, 0 to 2"):
            reader.read_v1({"instances": [[1, 2, 0], [1, 2, code]]})


@pytest.mark.parametrize(("name", "shape"), [("scores", [1, 3]), ("features", [3]), ("features", [2, 3])])
def test_another_tensor_is_refused(name: str, shape: list[int]) -> None:
    request = InferRequest("fraud-features", [InferInput(name, shape, "FP32", [1.0, 2.0, 0.0])])
    with pytest.raises(InvalidRequestError, match=r"expected (one tensor|shape)"):
        VectorReader(SCHEMA, 10).read_v2(request)
