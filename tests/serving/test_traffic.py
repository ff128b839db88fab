"""One address, several versions: weights, switches and retirements that no client notices."""

from __future__ import annotations

import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from email.message import Message
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest
from serving_world import JSON, WITHIN, Deployed, WorldTables, body, deploy, instance
from stored_world import eventually

from sluice.errors import RequestError
from sluice.rollout import Shadow, Traffic
from sluice_serving.traffic.front import Front
from sluice_serving.traffic.local import LocalTraffic

V1 = "/v1/models/fraud:predict"


class Stub(http.server.BaseHTTPRequestHandler):
    """A server that says its name after a while; where it hangs it accepts and does not answer until it is released."""

    seen: list[tuple[int, Message]] = []  # noqa: RUF012

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        got = self.rfile.read(length)
        port = int(self.server.server_address[1])
        self.seen.append((port, self.headers))
        if port in self.server.hanging:  # type: ignore[attr-defined]
            self.server.released.wait(WITHIN)  # type: ignore[attr-defined]
        sleep(0.01)
        content = json.dumps({"name": self.server.server_address[1], "got": len(got)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def stubs() -> Iterator[list[http.server.ThreadingHTTPServer]]:
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub) for _ in range(2)]
    Stub.seen.clear()
    for server in servers:
        server.daemon_threads = True
        server.hanging, server.released = set(), threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers:
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front("127.0.0.1", 0, seed=3, timeout=2.0)
    yield front
    front.close()


def target(server: http.server.ThreadingHTTPServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.server_address[1])


def test_requests_are_split_by_weight_over_one_connection(
    front: Front, stubs: list[http.server.ThreadingHTTPServer]
) -> None:
    a, b = map(target, stubs)
    front.split({a: 80, b: 20})
    with httpx.Client(base_url=front.address, timeout=WITHIN) as client:
        found = Counter(client.post("/x", content=b"y" * 100_000).json()["name"] for _ in range(200))
        assert 20 <= found[b[1]] <= 60
        front.split({a: 0, b: 100})
        assert {client.post("/x", content=b"y").json()["name"] for _ in range(20)} == {b[1]}


def test_without_a_version_or_with_a_dead_one_it_says_so(
    front: Front, stubs: list[http.server.ThreadingHTTPServer]
) -> None:
    assert httpx.post(front.address, content=b"", timeout=WITHIN).status_code == 503
    stubs[0].shutdown()
    stubs[0].server_close()
    front.split({target(stubs[0]): 100})
    answer = httpx.post(front.address, content=b"x", timeout=WITHIN)
    assert (answer.status_code, bool(answer.json()["error"])) == (503, True)


def test_draining_waits_for_requests_in_flight(front: Front, stubs: list[http.server.ThreadingHTTPServer]) -> None:
    a, b = map(target, stubs)
    front.split({a: 100})
    answers: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=front.address, timeout=WITHIN) as client:
            answers.extend(client.post("/x", content=b"y").status_code for _ in range(30))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    sleep(0.1)
    front.split({a: 0, b: 100})
    assert front.drain(a, 10)
    stubs[0].shutdown()
    stubs[0].server_close()
    for thread in threads:
        thread.join()
    assert answers == [200] * 120


def hang(server: http.server.ThreadingHTTPServer) -> tuple[str, int]:
    """From now on the server accepts requests and answers none."""
    server.hanging.add(server.server_address[1])  # type: ignore[attr-defined]
    return target(server)


def test_one_that_hangs_fails_its_own_requests_and_no_other(
    front: Front, stubs: list[http.server.ThreadingHTTPServer]
) -> None:
    a, b = target(stubs[0]), hang(stubs[1])
    front.split({a: 60, b: 40})
    with httpx.Client(base_url=front.address, timeout=WITHIN) as client:
        answers = [client.post("/x", content=b"y") for _ in range(8)]
        found = Counter(answer.status_code for answer in answers)
        assert set(found) == {200, 504}
        assert front.unanswered == {b: found[504]}
        assert {answer.json()["name"] for answer in answers if answer.status_code == 200} == {a[1]}
        assert "does not answer in 2 s" in next(one for one in answers if one.status_code == 504).json()["error"]


def test_a_shadow_gets_copies_and_nobody_its_answers(
    front: Front, stubs: list[http.server.ThreadingHTTPServer]
) -> None:
    a, b = map(target, stubs)
    front.split({a: 100, b: 0})
    front.mirror(b, 50)
    named = {"ce-id": "1", "x-own": "kept"}
    with httpx.Client(base_url=front.address, timeout=WITHIN) as client:
        answers = {client.post("/x", content=b"y" * 5000, headers=named).json()["name"] for _ in range(60)}
        assert answers == {a[1]}
        eventually(front.idle)
        copies = [headers for port, headers in Stub.seen if port == b[1]]
        assert 15 <= len(copies) <= 45
        # The payload ledger would take the copy's event for a repeat of the original's.
        assert {(headers["ce-id"], headers["x-own"]) for headers in copies} == {(None, "kept")}
        front.mirror(None)
        client.post("/x", content=b"y")
        eventually(front.idle)
        assert len([port for port, _ in Stub.seen if port == b[1]]) == len(copies)
    assert not front.dropped


def test_a_shadow_that_hangs_or_is_gone_breaks_and_delays_nothing(
    front: Front, stubs: list[http.server.ThreadingHTTPServer]
) -> None:
    a, b = target(stubs[0]), hang(stubs[1])
    front.split({a: 100})
    front.mirror(b, 100)
    with httpx.Client(base_url=front.address, timeout=WITHIN) as client:
        sent = 400
        assert {client.post("/x", content=b"y").json()["name"] for _ in range(sent)} == {a[1]}
        # Some wait, some have timed out; what found no room was dropped and counted.
        eventually(lambda: front.unanswered[b])
        assert 0 < front.dropped[b] < sent
        assert not front.unanswered[a]
        front.mirror(("127.0.0.1", 1), 100)
        assert client.post("/x", content=b"y").json()["name"] == a[1]
        eventually(lambda: front.unanswered["127.0.0.1", 1])


def test_weights_have_to_make_a_hundred(tmp_path: Path) -> None:
    with LocalTraffic(lambda _: [], tmp_path) as traffic:
        local: Traffic = traffic
        with pytest.raises(RequestError, match="not prepared: b"):
            local.set_weights({}, Shadow("b", 100))
        assert local.weights() == {}
        with pytest.raises(RequestError, match="not prepared"):
            local.set_weights({"a": 100})
        with pytest.raises(RequestError, match="100"):
            local.set_weights({})
        local.retire("a")


def test_a_version_that_does_not_start_leaves_nothing(tmp_path: Path) -> None:
    with LocalTraffic(lambda _: [str(tmp_path), "--digest", "x"], tmp_path / "logs") as traffic:
        with pytest.raises(RequestError, match="exit code 2"):
            traffic.prepare("a")
        assert traffic.weights() == {}


def test_a_promotion_loses_no_request(world: WorldTables, deployed: Deployed, state: Path, tmp_path: Path) -> None:
    other = deploy(world.use_case, tmp_path / "other", seed=1)
    versions = {version.digest: version for version in (deployed, other)}
    row = instance(world.day.row(0, named=True))
    seen: list[tuple[int, str]] = []
    done = threading.Event()

    def arguments(digest: str) -> Sequence[str]:
        return versions[digest].arguments(state)

    with LocalTraffic(arguments, tmp_path / "logs", ready_seconds=WITHIN) as traffic:
        traffic.promote(deployed.digest)

        def ask() -> None:
            with httpx.Client(base_url=traffic.endpoint, timeout=60) as client:
                while not done.is_set():
                    answer = client.post(V1, content=body(row), headers=JSON)
                    seen.append((answer.status_code, answer.json().get("model_version", answer.text)))

        thread = threading.Thread(target=ask)
        thread.start()
        eventually(lambda: seen)
        try:
            traffic.promote(other.digest)
            eventually(lambda: seen[-1][1] == other.digest)
        finally:
            done.set()
            thread.join()
        assert traffic.weights() == {other.digest: 100}

    assert {status for status, _ in seen} == {200}
    order = [version for _, version in seen]
    assert order == sorted(order, key=[deployed.digest, other.digest].index)
    assert set(order) == {deployed.digest, other.digest}
