"""A server that fetches its version from a real MinIO: late, dead, paused, forged, and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from servers import Server, wait_until_ready
from serving_world import JSON, body, linear_graph
from stored_world import ROW, WITHIN, Serve, Stored, eventually, score, serve, status, stored

from sluice.registry.keys import Keys
from sluice.storage import blob_key

__all__ = ["serve", "stored"]
pytestmark = pytest.mark.minio


def server_of(stored: Stored) -> Server:
    """The MinIO that is ours to end."""
    assert stored.bucket.s3.server is not None
    return stored.bucket.s3.server


def kill_minio(stored: Stored) -> Server:
    """MinIO, dead."""
    minio = server_of(stored)
    minio.kill()
    return minio


def test_the_champion_is_fetched_and_nothing_is_written_to_the_store(stored: Stored, serve: Serve) -> None:
    champion = stored.promote()
    before = stored.objects()
    server = serve()
    server.wait_ready(WITHIN)

    answer = score(server).json()
    assert answer["model_version"] == champion.digest
    assert f'version="{champion.digest}"' in httpx.get(f"{server.address}/metrics", timeout=WITHIN).text
    assert stored.objects() == before
    assert server.stop() == 0


def test_a_server_that_is_there_before_the_store_waits_and_says_so(
    stored: Stored, serve: Serve, tmp_path: Path
) -> None:
    stored.promote()
    minio = kill_minio(stored)
    server = serve()

    assert eventually(lambda: status(server, "/v2/health/live")) == 200
    assert (status(server, "/"), status(server, "/v2/health/ready")) == (200, 503)
    assert status(server, "/v1/models/fraud") == 503
    said = eventually((tmp_path / "server.log").read_text)
    assert "does not answer" in said
    refused = score(server)
    assert (refused.status_code, "does not answer" in refused.json()["error"]) == (503, True)

    minio.start()
    wait_until_ready(stored.bucket.s3)
    server.wait_ready(WITHIN)
    assert score(server).status_code == 200
    # Other reasons may come while MinIO starts; each is said once.
    lines = [line for line in (tmp_path / "server.log").read_text().splitlines() if "waiting" in line]
    assert len(lines) == len(set(lines))


def test_a_store_that_hangs_does_not_keep_the_server_from_stopping(stored: Stored, serve: Serve) -> None:
    stored.promote()
    minio = server_of(stored)
    minio.pause()
    try:
        server = serve()
        assert eventually(lambda: status(server, "/")) == 200
        assert server.stop() == 0
    finally:
        minio.pause(False)


def test_a_store_that_hung_for_a_while_is_fetched_from(stored: Stored, serve: Serve) -> None:
    stored.promote()
    minio = server_of(stored)
    minio.pause()
    server = serve()
    assert eventually(lambda: status(server, "/v2/health/ready")) == 503
    minio.pause(False)
    server.wait_ready(WITHIN)
    assert score(server).status_code == 200


def test_a_model_without_a_champion_is_waited_for(stored: Stored, serve: Serve, tmp_path: Path) -> None:
    server = serve()
    assert eventually(lambda: "has no champion" in (tmp_path / "server.log").read_text())
    stored.promote()
    server.wait_ready(WITHIN)
    assert score(server).status_code == 200


def test_what_was_fetched_before_is_served_without_the_store(stored: Stored, serve: Serve, tmp_path: Path) -> None:
    version = stored.promote()
    first = serve(version.digest)
    first.wait_ready(WITHIN)
    before = score(first).json()["predictions"]
    first.kill()
    kill_minio(stored)

    again = serve(version.digest)
    again.wait_ready(WITHIN)
    assert score(again).json()["predictions"] == before


def test_what_was_fetched_before_and_was_changed_since_is_fetched_anew(
    stored: Stored, serve: Serve, tmp_path: Path
) -> None:
    version = stored.promote()
    kept = tmp_path / "work" / "versions" / version.digest
    stored.registry.fetch(version, kept)
    (kept / "model.onnx").write_bytes(linear_graph(stored.use_case, 1, 99))

    server = serve(version.digest)
    server.wait_ready(WITHIN)
    assert (kept / "model.onnx").read_bytes() == linear_graph(stored.use_case, 1, 0)


def test_a_server_that_is_told_to_stop_is_not_ready_and_loses_no_request(stored: Stored, serve: Serve) -> None:
    stored.promote()
    server = serve(linger=str(WITHIN))
    server.wait_ready(WITHIN)
    statuses: list[int] = []
    with httpx.Client(base_url=server.address, timeout=30) as kept:
        kept.get("/v2/health/live")
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: status(server, "/v2/health/ready") == 503)
        assert status(server, "/v1/models/fraud") == 503
        assert status(server, "/") == 200
        for _ in range(20):
            answer = kept.post("/v1/models/fraud:predict", content=body(ROW), headers=JSON)
            statuses.append(answer.status_code)
            assert answer.headers["connection"] == "close"
    assert set(statuses) == {200}
    # A second signal ends the waiting.
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(WITHIN) == 0


@pytest.mark.parametrize("forged", ["key", "graph", "log", "digest"])
def test_what_the_gate_did_not_sign_is_refused_with_its_message(stored: Stored, tmp_path: Path, forged: str) -> None:
    champion = stored.promote()
    keys, version, store = stored.public, "champion", stored.registry.store
    if forged == "key":
        keys = tmp_path / "other"
        Keys.ensure(keys)
        (keys / "gate.key").unlink()
    elif forged == "graph":
        store.put(blob_key(champion.files["model.onnx"]), linear_graph(stored.use_case, 1, 99))
    elif forged == "log":
        entry = "registry/fraud/log/00000001.json"
        store.put(entry, store.get(entry).replace(b"it is better", b"it is  worse"))
    else:
        version = champion.digest
        manifest = f"registry/fraud/versions/{version}.json"
        store.put(manifest, store.get(manifest).replace(b'"seed":0', b'"seed":9'))

    command = [sys.executable, "-m", "sluice_serving", *stored.arguments(version), "--keys", str(keys)]
    command += ["--work", str(tmp_path / "work"), "--port", "0"]
    environment = {**os.environ, **stored.environment}
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)

    assert found.returncode == 3, found.stderr
    assert "→" in found.stderr
    assert "Traceback" not in found.stderr
