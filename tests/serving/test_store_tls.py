"""A server whose store speaks TLS with a certificate of an authority of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from servers import Bucket, certificate
from stored_world import WITHIN, Serve, Stored, eventually, score, serve, status

__all__ = ["serve"]
pytestmark = pytest.mark.minio


@pytest.fixture
def stored(tls_minio: Bucket, tmp_path: Path) -> Stored:
    """A model whose champion lies behind TLS."""
    return Stored(tls_minio, tmp_path)


def test_the_champion_is_fetched_over_tls_and_served(stored: Stored, serve: Serve) -> None:
    champion = stored.promote()
    assert stored.environment["SLUICE_STORE_ENDPOINT"].startswith("https://")
    server = serve()
    server.wait_ready(WITHIN)
    assert score(server).json()["model_version"] == champion.digest


def test_a_server_that_does_not_trust_the_store_waits_and_says_why(
    stored: Stored, serve: Serve, tmp_path: Path
) -> None:
    other = certificate(tmp_path / "other")
    stored.bucket = Bucket(replace(stored.bucket.s3, ca=other.authority), stored.bucket.name)
    server = serve()
    assert eventually(lambda: status(server, "/v2/health/live")) == 200
    log = tmp_path / "server.log"
    said = eventually(lambda: (text := log.read_text()) and "waiting:" in text and text)
    assert "not signed by an authority that is trusted here" in said and "storage.ca" in said
    assert status(server, "/v2/health/ready") == 503
