"""The receiver as a process of its own: what it takes, what it refuses, and what then is in the ledger."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import polars as pl
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from payload_world import QUICK, REQUEST, RESPONSE, ReceiverProcess, Sender, answer, named, question

from sluice.settings.operation import Storage


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    folder = tmp_path_factory.mktemp("receiver")
    settings = {**QUICK, "max_event": "16KiB"}
    with ReceiverProcess(folder, Storage(url=str(folder / "store")), settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def sender(receiver: ReceiverProcess) -> Sender:
    return Sender(receiver)


def test_events_of_the_sdk_arrive_in_both_modes(receiver: ReceiverProcess, sender: Sender) -> None:
    for number, make in (("binary", to_binary), ("structured", to_structured)):
        for kind, body in ((REQUEST, question(number)), (RESPONSE, answer(number))):
            about = {
                "id": number,
                "source": "http://pod/",
                "type": f"org.kubeflow.serving.inference.{kind}",
                "time": datetime.now(UTC).isoformat(),
                "inferenceservicename": "fraud",
            }
            headers, data = make(CloudEvent(about, body if kind == RESPONSE else json.loads(body)))
            assert sender.send(headers, data)[0] == 200, number
    receiver.settle()
    found = receiver.ledger().frame.filter(pl.col("source") == "http://pod/")
    assert found.get_column("event_id").sort().to_list() == ["binary", "structured"]
    row = found.row(0, named=True)
    assert (row["version"], row["score"], row["caller"], row["service"]) == ("6ebaaf1e", 0.25, "tester", "fraud")
    assert row["features"] == {"amount": 1.5, "card_count_1d": None}
    assert (row["unknown"], row["unknown_entities"], row["stale"], row["stale_streams"]) == (True, ["card"], False, [])
    assert (row["ahead"], row["repeated"]) == (False, True)
    assert row["server_time"] == datetime(2026, 11, 23, 1, 54, 32, 136016, UTC)
    assert row["event_time"] == datetime(2018, 8, 8, 0, 1, 14, tzinfo=UTC)
    assert row["asked"] <= row["time"] <= datetime.now(UTC)


def test_composed_vectors_and_their_answers_are_no_rows(receiver: ReceiverProcess, sender: Sender) -> None:
    """KServe's logger sends what an explainer asks, too: no event is behind it."""
    said = {"predictions": [{"score": 0.5}], "model_name": "fraud-features", "model_version": "v1"}
    vectors = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}
    for number, (kind, body) in enumerate(
        ((REQUEST, {"instances": [[1.0, None]]}), (REQUEST, vectors), (RESPONSE, said))
    ):
        assert sender.send(named(kind, f"composed-{number}"), json.dumps(body).encode())[0] == 200
    receiver.settle()
    found = receiver.ledger()
    for frame in (found.frame, found.unanswered):
        assert frame.filter(pl.col("id").str.starts_with("composed-")).is_empty()


def test_v2_answers_are_rows_too(receiver: ReceiverProcess, sender: Sender) -> None:
    outputs: list[dict[str, Any]] = [
        {"name": "scores", "datatype": "FP32", "shape": [2, 3], "data": [0.5, 0.25, 0.25, 0.125, 0.125, 0.75]},
        {"name": "event_id", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
        {"name": "features", "datatype": "FP32", "shape": [2, 1], "data": [None, 2.0]},
        {"name": "stale", "datatype": "BOOL", "shape": [2], "data": [True, False]},
    ]
    said = {"model_name": "fraud", "model_version": "v1", "outputs": outputs, "parameters": {}}
    asked = [{"name": "event_time", "shape": [2], "datatype": "BYTES", "data": ["2018-08-08T00:01:14Z", None]}]
    assert sender.send(named(REQUEST, "v2-1"), json.dumps({"inputs": asked}).encode())[0] == 200
    assert sender.send(named(RESPONSE, "v2-1"), json.dumps(said).encode())[0] == 200
    little = {**said, "outputs": outputs[:1], "model_version": "v2"}
    assert sender.send(named(RESPONSE, "v2-2"), json.dumps(little).encode())[0] == 200
    receiver.settle()
    rows = receiver.ledger().frame.filter(pl.col("id").str.starts_with("v2-")).sort("id", "row").to_dicts()
    assert [row["event_id"] for row in rows] == ["a", "b", None, None]
    assert [row["score"] for row in rows] == [0.5, 0.75, 0.5, 0.75]
    assert rows[1]["scores"] == [0.125, 0.125, 0.75]
    assert [row["features"] and row["features"]["0"] for row in rows] == [None, 2.0, None, None]
    assert [row["stale"] for row in rows] == [True, False, None, None]
    assert [row["event_time"] is None for row in rows] == [False, True, True, True]


MALFORMED: dict[str, tuple[str, dict[str, str], bytes]] = {
    "no event": ("envelope", {"Content-Type": "application/json"}, answer("a")),
    "another specversion": ("envelope", named(RESPONSE, "m", **{"Ce-Specversion": "0.3"}), answer("a")),
    "no id": ("envelope", named(RESPONSE, "m", **{"Ce-Id": None}), answer("a")),
    "no source": ("envelope", named(RESPONSE, "m", **{"Ce-Source": ""}), answer("a")),
    "a long id": ("envelope", named(RESPONSE, "m" * 2000), answer("a")),
    "no time": ("envelope", named(RESPONSE, "m", **{"Ce-Time": None}), answer("a")),
    "no zone": ("envelope", named(RESPONSE, "m", **{"Ce-Time": "2026-01-01T00:00:00"}), answer("a")),
    "a batch": ("envelope", {"Content-Type": "application/cloudevents-batch+json"}, b"[]"),
    "structured, no JSON": ("envelope", {"Content-Type": "application/cloudevents+json"}, b"{"),
    "structured, a list": ("envelope", {"Content-Type": "application/cloudevents+json"}, b"[]"),
    "structured, broken base64": (
        "envelope",
        {"Content-Type": "application/cloudevents+json"},
        json.dumps({"data_base64": "%"}).encode(),
    ),
    "another type": ("type", named("explain", "m"), answer("a")),
    "the future": ("time", named(RESPONSE, "m", **{"Ce-Time": "2999-01-01T00:00:00Z"}), answer("a")),
    "another model": ("model", named(RESPONSE, "m"), answer("a", model="rides")),
    "no JSON": ("body", named(RESPONSE, "m"), b"# HELP a scrape"),
    "no answer": ("body", named(RESPONSE, "m"), b"{}"),
    "a list": ("body", named(RESPONSE, "m"), b"[]"),
    "bare numbers": ("body", named(RESPONSE, "m"), b'{"predictions": [0.5], "model_name": "fraud"}'),
    "no rows": ("body", named(RESPONSE, "m"), answer()),
    "a version that leaves the folder": ("body", named(RESPONSE, "m"), answer("a", version="../x")),
    "a version that is none": ("body", named(RESPONSE, "m"), answer("a").replace(b'"6ebaaf1e"', b"7")),
    "a feature too many": ("body", named(RESPONSE, "m"), answer("a").replace(b"[1.5, null]", b"[1.5, null, 3]")),
    "a text for a score": ("body", named(RESPONSE, "m"), answer("a").replace(b"0.25", b'"x"')),
    "features of different lengths": (
        "body",
        named(RESPONSE, "m"),
        answer("a", "b").replace(b"[1.5, null]", b"[1.5]", 1),
    ),
    "a doubled feature": ("body", named(RESPONSE, "m"), answer("a").replace(b"card_count_1d", b"amount")),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_events_are_told_so_and_counted(what: str, receiver: ReceiverProcess, sender: Sender) -> None:
    reason, headers, body = MALFORMED[what]
    counter = f"sluice_payload_malformed_total{{{reason}}}"
    before = receiver.metrics().get(counter, 0.0)
    status, said = sender.send(headers, body)
    assert status == 400 and json.loads(said)["error"], what
    assert receiver.metrics()[counter] == before + 1


def test_an_event_that_is_too_large_is_refused(receiver: ReceiverProcess, sender: Sender) -> None:
    status, said = sender.send(named(REQUEST, "large"), b"x" * 20_000)
    assert status == 413 and "payloads.max_event" in json.loads(said)["hint"]
    assert sender.send(named(REQUEST, "small"), question("a"))[0] == 200, "the connection goes on"
    assert Sender(receiver).send(named(REQUEST, "huge"), b"x" * 2_000_000)[0] == 413


def test_only_named_callers_may_write_and_only_their_models(receiver: ReceiverProcess, sender: Sender) -> None:
    for authorization in ("", "Bearer", "Bearer wrong", "Basic !", "Basic Og=="):
        status, said, headers = sender.ask(
            "POST", "/models/fraud", {**named(REQUEST, "who"), "Authorization": authorization}, question("a")
        )
        assert status == 401 and "token" in json.loads(said)["error"], authorization
        assert headers["www-authenticate"].startswith("Bearer")
    status, said = sender.send(named(REQUEST, "who"), question("a"), model="rides")
    assert status == 403 and "tester may not write events of rides" in json.loads(said)["error"]
    # A name and a token in an address is Basic to every HTTP client: KServe's logger can send no other header.
    basic = base64.b64encode(f"tester:{receiver.token}".encode()).decode()
    headers_ = {**named(REQUEST, "basic"), "Authorization": f"Basic {basic}"}
    assert sender.send(headers_, question("a"))[0] == 200


def test_other_paths_and_methods_are_told_where_to_go(sender: Sender) -> None:
    assert sender.ask("GET", "/models/fraud")[0] == 405
    assert sender.ask("POST", "/")[0] == 404
    assert sender.ask("GET", "/other")[0] == 404
    assert sender.ask("POST", "/models/No-Model", named(REQUEST, "x"), question("a"))[0] == 404
    assert sender.ask("GET", "/health/ready")[0] == 200


def test_the_same_event_twice_is_stored_once_and_counted(tmp_path: Path) -> None:
    headers = named(RESPONSE, "one")
    with ReceiverProcess(tmp_path, Storage(url=str(tmp_path / "store"))) as receiver:
        sender = Sender(receiver)
        for _ in range(3):
            assert sender.send(headers, answer("a"))[0] == 200
        other = named(RESPONSE, "one", **{"Ce-Source": "http://other/"})
        assert sender.send(other, answer("a"))[0] == 200, "another source, another event"
        copied = named(RESPONSE, "one", **{"Ce-Inferenceservicename": "fraud-challenger"})
        assert sender.send(copied, answer("a"))[0] == 200, "the shadow's answer to the same request, another event"
        assert receiver.metrics()["sluice_payload_duplicates_total{fraud}"] == 2
        assert receiver.stop() == 0
    with receiver:
        assert Sender(receiver).send(headers, answer("a"))[0] == 200, "known after a restart, though the store has it"
        assert receiver.metrics()["sluice_payload_duplicates_total{fraud}"] == 1
        assert receiver.stop() == 0
    assert receiver.ledger().frame.height == 3


def test_requests_without_an_answer_are_counted_there_and_in_the_ledger(
    receiver: ReceiverProcess, sender: Sender
) -> None:
    ignored = receiver.metrics().get("sluice_payload_ignored_total{fraud}", 0.0)
    for number in ("answered", "refused", "lost"):
        body = b"no JSON" if number == "refused" else question(number)
        assert sender.send(named(REQUEST, number), body)[0] == 200
        if number == "answered":
            assert sender.send(named(RESPONSE, number), answer(number))[0] == 200
    assert sender.send(named(REQUEST, "probe"), b"")[0] == 200
    assert receiver.metrics()["sluice_payload_ignored_total{fraud}"] == ignored + 1
    receiver.settle()
    found = receiver.ledger()
    missing = dict(found.unanswered.select("id", "rows").iter_rows())
    assert (missing["refused"], missing["lost"]) == (None, 1) and "answered" not in missing and "probe" not in missing
    deadline = monotonic() + 180
    while receiver.metrics().get("sluice_payload_unanswered_total{fraud}", 0) < found.unanswered.height:
        assert monotonic() < deadline
        sleep(0.05)


def test_a_second_receiver_on_one_spool_is_refused(receiver: ReceiverProcess) -> None:
    second = ReceiverProcess(receiver.folder, receiver.storage)
    with pytest.raises(AssertionError, match="another receiver has this spool"):
        second.start()
    assert second.process is not None and second.process.wait() == 1
    second.kill()


def test_tokens_change_while_it_runs(tmp_path: Path) -> None:
    from sluice.payloads.callers import Callers, admit

    path, now = tmp_path / "callers.yaml", [0.0]
    old = admit(path, "server", None)
    callers = Callers(path, seconds=lambda: now[0])
    assert callers.name_of(f"Bearer {old}", "fraud") == "server"
    new = admit(path, "server", None)
    now[0] += 2
    assert callers.name_of(f"Bearer {new}", "fraud") == "server"
    with pytest.raises(Exception, match="nobody here has this token"):
        callers.name_of(f"Bearer {old}", "fraud")
    path.write_text("callers: [{name: x, sha256: abc}]")
    now[0] += 2
    assert callers.name_of(f"Bearer {new}", "fraud") == "server", "a broken file changes nothing"
    assert "sha256" in callers.problem


def test_what_was_taken_is_told(receiver: ReceiverProcess, sender: Sender) -> None:
    before = receiver.metrics().get("sluice_payload_accepted_total{responses,fraud}", 0.0)
    assert sender.send(named(RESPONSE, "told"), answer("a"))[0] == 200
    found = receiver.metrics()
    assert found["sluice_payload_accepted_total{responses,fraud}"] == before + 1
    assert {"sluice_payload_spool_bytes", "sluice_payload_lag_seconds", "sluice_payload_stored_total"} <= set(found)
