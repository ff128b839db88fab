"""A real server that sends what it answered to a real receiver: the ledger holds what callers were told."""

from __future__ import annotations

import http.client
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
from payload_world import ReceiverProcess
from prometheus_client import CollectorRegistry
from servers import free_port
from serving_world import JSON, Start, WorldTables, body, case, deploy, instance

from sluice.errors import SettingsError
from sluice.ledger.tables import FEATURES
from sluice.settings.operation import Storage
from sluice_serving.payloads.sending import Logged, PayloadSender


def test_the_ledger_holds_what_the_callers_were_told(
    world: WorldTables, state: Path, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = deploy(case(payloads={"evidence": "always"}), tmp_path / "version")
    rows = [instance(row) for row in world.day.head(12).iter_rows(named=True)]
    # An entity that state does not know, and a feature that is missing.
    rows[3]["card"] = "nobody"
    with ReceiverProcess(tmp_path / "receiver", Storage(url=str(tmp_path / "store"))) as receiver:
        monkeypatch.setenv("SLUICE_PAYLOADS_TOKEN", receiver.token)
        server = start(version, state, payloads=receiver.address)
        told = _ask(server.address, "/v1/models/fraud:predict", body(*rows[:5]), body(*rows[5:8]), body({"amount": 1}))
        plain = _ask(server.address, "/v2/models/fraud/infer", _v2(rows[8:]))[0]
        assert {output["name"] for output in plain["outputs"]} > {"scores", "features", "stale"}
        assert server.stop() == 0, "what is in the queue goes out before it ends"
        receiver.settle()
        found = receiver.ledger()
    frame = found.frame
    assert set(frame.get_column("event_id")) == {row["event_id"] for row in rows} and frame.height == len(rows)
    assert found.unanswered.get_column("rows").to_list() == [1], "the refused request, and no other"
    assert found.without_request == 0
    assert set(frame.get_column("version")) == {version.digest} and set(frame.get_column("caller")) == {"tester"}
    for prediction in [each for answer in told[:2] for each in answer["predictions"]]:
        _same(frame, prediction, told[0]["feature_names"])
    assert frame.get_column(FEATURES).struct.field("amount").null_count() == 0
    times = {row["event_id"]: row["event_time"] for row in rows}
    kept = dict(frame.select("event_id", pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).iter_rows())
    assert kept == times
    text = (tmp_path / "store").rglob("*.parquet")
    raw = b"".join(path.read_bytes() for path in text)
    assert b"nobody" not in raw, "what a caller sent beside times is not kept"


def _same(frame: pl.DataFrame, prediction: dict[str, Any], names: list[str]) -> None:
    (row,) = frame.filter(pl.col("event_id") == prediction["event_id"]).to_dicts()
    assert np.float32(row["score"]) == np.float32(prediction["score"])
    assert row["unknown_entities"] == prediction["unknown"] and row["unknown"] == bool(prediction["unknown"])
    assert row["stale_streams"] == prediction["stale"] and row["stale"] == bool(prediction["stale"])
    assert (row["ahead"], row["repeated"]) == (prediction["ahead"], prediction["repeated"])
    used = [row[FEATURES][name] for name in names]
    assert np.array_equal(
        np.array(used, dtype=np.float32), np.array(prediction["features"], np.float32), equal_nan=True
    )


def _ask(address: str, path: str, *bodies: bytes) -> list[Any]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    answers = []
    for each in bodies:
        connection.request("POST", path, each, JSON)
        answers.append(json.loads(connection.getresponse().read()))
    connection.close()
    return answers


def _v2(rows: list[dict[str, Any]]) -> bytes:
    kinds = {"event_id": "BYTES", "event_time": "BYTES", "card": "BYTES", "terminal": "BYTES", "amount": "FP64"}
    inputs = [
        {"name": name, "datatype": kind, "shape": [len(rows)], "data": [row[name] for row in rows]}
        for name, kind in kinds.items()
    ]
    return json.dumps({"inputs": inputs, "outputs": [{"name": "scores"}]}).encode()


class _Fake(BaseHTTPRequestHandler):
    """A receiver that says what it is told to, in turn, and then 200."""

    protocol_version = "HTTP/1.1"
    statuses: list[int]
    heard: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        status = self.statuses.pop(0) if self.statuses else 200
        self.heard.append((f"{status} {self.headers['ce-id']}", data))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.send_header("retry-after", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _event(name: str) -> Logged:
    return Logged("request", name, datetime.now(UTC), "application/json", b"{}")


def _count(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def test_what_is_refused_for_now_is_sent_again_and_what_is_wrong_is_not() -> None:
    _Fake.statuses, _Fake.heard = [503, 429, 401, 200, 400], []
    registry = CollectorRegistry()
    with HTTPServer(("127.0.0.1", 0), _Fake) as fake:
        thread = threading.Thread(target=fake.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{fake.server_address[1]}"
        sender = PayloadSender(address, "fraud", "t", registry, queue_size=10, senders=1)
        for name in ("a", "b", "c"):
            sender.offer(_event(name))
        sender.close(30)
        fake.shutdown()
        thread.join()
    assert [name for name, _ in _Fake.heard] == ["503 a", "429 a", "401 a", "200 a", "400 b", "200 c"]
    assert _count(registry, "sluice_payloads_sent_total") == 2
    assert _count(registry, "sluice_payloads_dropped_total", reason="refused") == 1


def test_a_receiver_that_is_away_costs_events_and_no_time() -> None:
    registry = CollectorRegistry()
    address = f"http://127.0.0.1:{free_port()}"
    sender = PayloadSender(address, "fraud", "t", registry, queue_size=5, senders=2)
    for number in range(50):
        sender.offer(_event(str(number)))
    assert _count(registry, "sluice_payloads_dropped_total", reason="full") >= 50 - 5 - 2
    sender.close(0.1)
    deadline = monotonic() + 30
    while _count(registry, "sluice_payloads_dropped_total", reason="stopped") < 2:
        assert monotonic() < deadline
        sleep(0.01)


@pytest.mark.parametrize("address", ["receiver:80", "https://receiver", "http://"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(SettingsError, match=r"payloads\.address"):
        PayloadSender(address, "fraud", "t", CollectorRegistry(), queue_size=5, senders=1)
