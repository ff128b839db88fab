"""V1 and V2 against a real server: answers, refusals, limits, health, metrics."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from serving_world import JSON, WITHIN, Deployed, WorldTables, body, instance

from sluice.features.schema import to_matrix

V1, V2 = "/v1/models/fraud:predict", "/v2/models/fraud/infer"


@pytest.fixture
def client(endpoint: str) -> Any:
    with httpx.Client(base_url=endpoint, timeout=30) as client:
        yield client


@pytest.fixture
def first(world: WorldTables) -> dict[str, Any]:
    """The first event of the day: state is exactly what it should see."""
    return instance(world.day.row(0, named=True))


def tensors(*rows: dict[str, Any]) -> dict[str, Any]:
    """A V2 body."""
    types = {"event_id": "BYTES", "event_time": "BYTES", "card": "BYTES", "terminal": "BYTES", "amount": "FP64"}
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, kind in types.items()
    ]
    return {"id": "42", "inputs": inputs}


def test_v1_answers_score_features_and_flags(
    client: httpx.Client, first: dict[str, Any], world: WorldTables, deployed: Deployed
) -> None:
    answer = client.post(V1, content=body(first), headers=JSON).json()

    expected = to_matrix(deployed.schema, world.rows[:1])
    prediction = answer["predictions"][0]
    assert np.array_equal(np.array(prediction["features"], dtype=np.float32), expected[0])
    assert prediction["score"] == pytest.approx(float(deployed.graph.score(expected)[0]), abs=1e-6)
    assert prediction["event_id"] == first["event_id"]
    flags = {name: prediction[name] for name in ("unknown", "stale", "ahead", "repeated")}
    assert flags == {"unknown": [], "stale": [], "ahead": False, "repeated": False}
    assert (answer["model_name"], answer["model_version"]) == ("fraud", deployed.digest)
    assert answer["feature_names"] == list(deployed.schema.names)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", answer["time"])


def test_v2_answers_the_same(client: httpx.Client, first: dict[str, Any]) -> None:
    v1 = client.post(V1, content=body(first), headers=JSON).json()["predictions"][0]
    answer = client.post(V2, json=tensors(first)).json()

    outputs = {output["name"]: output for output in answer["outputs"]}
    assert answer["id"] == "42"
    assert answer["model_version"]
    assert outputs["scores"]["data"] == [v1["score"]]
    assert outputs["features"]["data"] == v1["features"]
    assert outputs["features"]["shape"] == [1, len(v1["features"])]
    assert outputs["event_id"]["data"] == [first["event_id"]]
    assert [outputs[flag]["data"] for flag in ("unknown", "stale", "ahead", "repeated")] == [[False]] * 4
    only = client.post(V2, json={**tensors(first), "outputs": [{"name": "scores"}]}).json()
    assert [output["name"] for output in only["outputs"]] == ["scores"]


def test_v2_takes_other_number_types_and_column_shapes(client: httpx.Client, first: dict[str, Any]) -> None:
    given = tensors(first)
    given["inputs"][2] |= {"datatype": "INT64", "data": [int(first["card"])]}
    given["inputs"][4] |= {"datatype": "FP32", "shape": [1, 1], "data": [[first["amount"]]]}
    assert client.post(V2, json=given).json()["outputs"] == client.post(V2, json=tensors(first)).json()["outputs"]


def test_batches_keep_their_order(client: httpx.Client, world: WorldTables) -> None:
    rows = [instance(row) for row in world.day.head(40).iter_rows(named=True)]
    answers = client.post(V1, content=body(*rows), headers=JSON).json()["predictions"]
    assert [a["event_id"] for a in answers] == [row["event_id"] for row in rows]
    alone = client.post(V1, content=body(rows[35]), headers=JSON).json()["predictions"][0]
    assert answers[35]["features"] == alone["features"]
    assert answers[35]["score"] == pytest.approx(alone["score"], abs=1e-6)
    assert client.post(V2, json=tensors(*rows)).json()["outputs"][0]["shape"] == [40]


def test_an_event_that_state_holds_counts_once(client: httpx.Client, world: WorldTables) -> None:
    last = world.before()[0].row(-1, named=True)
    rows = world.events.filter(pl.col("event_time") < world.start)
    assert rows.row(-1, named=True) == last
    held = client.post(V1, content=body(instance(last)), headers=JSON).json()["predictions"][0]
    fresh = client.post(V1, content=body({**instance(last), "event_id": "zzz"}), headers=JSON).json()["predictions"][0]
    assert (held["repeated"], fresh["repeated"]) == (True, False)
    assert fresh["features"][0] == held["features"][0] + 1


def test_unknown_entities_and_early_questions_are_marked(client: httpx.Client, first: dict[str, Any]) -> None:
    stranger = client.post(V1, content=body({**first, "card": "nobody"}), headers=JSON).json()["predictions"][0]
    assert stranger["unknown"] == ["card"]
    late = {**first, "event_id": "x", "event_time": "2030-01-01T00:00:00Z"}
    assert set(client.post(V1, content=body(late), headers=JSON).json()["predictions"][0]["stale"]) == {
        "events",
        "labels",
    }


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/plain", "application/octet-stream", ""])
def test_v1_reads_json_whatever_it_is_called(client: httpx.Client, first: dict[str, Any], kind: str) -> None:
    assert client.post(V1, content=body(first), headers={"content-type": kind}).status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"instances": [NaN]}', 400),
        (b'{"instances": [{"amount": 1e999}]}', 400),
        (b'{"instances": [' + b"[" * 5000 + b"]" * 5000 + b"]}", 400),
        (b'{"instances": [{"amount": 1' + b"0" * 5000 + b"}]}", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"instances"', 400),
        (b'{"instances": []}', 422),
        (b'{"instances": [{}]}', 422),
        (b'{"instances": [3]}', 422),
    ],
)
def test_v1_refuses_in_words(client: httpx.Client, content: bytes, status: int) -> None:
    answer = client.post(V1, content=content, headers=JSON)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"inputs": []}, 422, "instances"),
        ({"inputs": None}, 422, "inputs"),
        ({"inputs": [{"name": "card"}]}, 422, "inputs"),
        ({"outputs": [{"name": "nothing"}]}, 400, "outputs"),
        ({"id": 7}, 422, "id"),
    ],
)
def test_v2_refuses_in_words(
    client: httpx.Client, first: dict[str, Any], change: dict[str, Any], status: int, named: str
) -> None:
    answer = client.post(V2, json={**tensors(first), **change})
    assert (answer.status_code, named in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize(
    "tensor",
    [
        {"name": "nothing"},
        {"name": "card"},
        {"datatype": "FP32x"},
        {"datatype": "BYTES"},
        {"datatype": "FP16"},
        {"shape": []},
        {"shape": [2]},
        {"shape": [-1]},
        {"shape": [1, 2]},
        {"shape": [10**12]},
        {"data": [1, 2]},
        {"data": [[[1]]]},
        {"data": ["a"]},
        {"data": [None]},
        {"data": [{}]},
        {"data": []},
        {"shape": [0], "data": []},
    ],
)
def test_v2_refuses_wrong_tensors(client: httpx.Client, first: dict[str, Any], tensor: dict[str, Any]) -> None:
    given = tensors(first)
    given["inputs"][4] |= tensor
    assert client.post(V2, json=given).status_code in (400, 422)


def test_v2_survives_what_json_libraries_let_through(client: httpx.Client, first: dict[str, Any]) -> None:
    text = json.dumps(tensors(first))
    for old, new in (
        (json.dumps(first["amount"]), "NaN"),
        (json.dumps(first["amount"]), "1e999"),
        (json.dumps(first["amount"]), "1" + "0" * 5000),
        (f'"{first["card"]}"', '"\\ud800"'),
        ('"FP64"', "NaN"),
        ('"42"', "Infinity"),
        (json.dumps(first["amount"]), "[" * 3000 + "]" * 3000),
    ):
        answer = client.post(V2, content=text.replace(old, new).encode(), headers=JSON)
        assert answer.status_code in (400, 422), (new[:20], answer.text)
        assert answer.json()["error"]


def test_v2_binary_tensors(client: httpx.Client, first: dict[str, Any]) -> None:
    given = tensors(first)
    raw = np.array([first["amount"]]).tobytes()
    del given["inputs"][4]["data"]
    given["inputs"][4]["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps(given).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
    assert client.post(V2, content=head + raw, headers=headers).status_code == 200
    for wrong in ("x", "-1", "99999", str(len(head) - 1)):
        answer = client.post(V2, content=head + raw, headers={**headers, "inference-header-content-length": wrong})
        assert answer.status_code in (400, 422), answer.text
    assert client.post(V2, content=head + raw[:5], headers=headers).status_code in (400, 422)


def test_limits(client: httpx.Client, first: dict[str, Any]) -> None:
    assert client.post(V1, content=body(*[first] * 51), headers=JSON).status_code == 413
    for size in (65 * 1024, 900 * 1024, 3 * 1024 * 1024):
        with httpx.Client(base_url=str(client.base_url), timeout=WITHIN) as other:
            try:
                assert other.post(V1, content=b" " * size, headers=JSON).status_code == 413
            except (httpx.WriteError, httpx.ReadError):
                assert size > 1024 * 1024, "only a body far above the limit may be cut off"
    chunks = (b" " * 1024 for _ in range(100))
    assert client.post(V1, content=chunks, headers=JSON).status_code == 413


def test_cloud_events_are_read_or_refused(client: httpx.Client, first: dict[str, Any]) -> None:
    ce = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    assert client.post(V1, content=body(first), headers={**JSON, **ce}).status_code == 200
    assert client.post(V1, content=b"{", headers={**JSON, **ce}).status_code == 400
    assert client.post(V1, content=b"\xff", headers={**JSON, **ce}).status_code == 400
    assert client.post(V1, content=body(first), headers={**JSON, "ce-id": "1"}).status_code in (200, 400)


def test_health_metadata_and_what_is_not_there(client: httpx.Client) -> None:
    assert client.get("/").json() == {"status": "alive"}
    assert client.get("/v2/health/live").json()["live"] is True
    assert client.get("/v2/health/ready").json()["ready"] is True
    assert client.get("/v1/models/fraud").json() == {"name": "fraud", "ready": True}
    metadata = client.get("/v2/models/fraud").json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["event_id", "event_time", "card", "terminal", "amount"]
    assert metadata["outputs"][0] == {"name": "scores", "datatype": "FP32", "shape": [-1]}
    assert client.post("/v1/models/other:predict", content=b"{}").status_code == 404
    for gone in ("/v2/repository/models/fraud/unload", "/v2/repository/models/fraud/load", "/v1/models/fraud:explain"):
        assert client.post(gone).status_code in (404, 405)


def test_metrics_count_what_happened(client: httpx.Client, first: dict[str, Any], deployed: Deployed) -> None:
    before = _metrics(client)
    client.post(V1, content=body({**first, "card": "nobody"}), headers=JSON)
    client.post(V1, content=b'{"instances": [{}]}', headers=JSON)
    client.post(V1, content=b" " * 70_000, headers=JSON)
    after = _metrics(client)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("sluice_rows_total") == 1
    assert grown('sluice_unknown_entities_total{entity="card"}') == 1
    assert grown('sluice_refused_total{reason="field"}') == 1
    assert grown('sluice_refused_total{reason="size"}') == 1
    assert grown("sluice_score_count") == 1
    assert grown('sluice_request_seconds_count{protocol="v1",status="200"}') == 1
    assert after[f'sluice_model_info{{model="fraud",version="{deployed.digest}"}}'] == 1


def _metrics(client: httpx.Client) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
