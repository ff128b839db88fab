"""The gate's key is changed as docs/operations.md says it: what is signed by either, and who knows which."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from serving_world import NOW, WITHIN
from stored_world import Serve, Stored, score, serve, stored

from sluice.registry import Keys, Registry, verify
from sluice.storage import open_store

__all__ = ["serve", "stored"]
pytestmark = pytest.mark.minio
REFUSED = 3


def new_pair(folder: Path) -> None:
    """With the page's own commands."""
    folder.mkdir()
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "gate.key"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", "gate.key", "-pubout", "-out", "gate.pub"], cwd=folder, check=True)
    (folder / "gate.key").chmod(0o600)


def test_versions_of_both_keys_are_served_and_a_server_with_the_old_one_alone_refuses(
    stored: Stored, serve: Serve, tmp_path: Path
) -> None:
    old = stored.promote()
    new_pair(tmp_path / "new")
    # 1. Servers trust both.
    shutil.copy(tmp_path / "new" / "gate.pub", stored.public / "gate-2.pub")
    # 2. The gate's Secret: the new pair, and the old public key under another name.
    shutil.copy(stored.keys.folder / "gate.pub", tmp_path / "new" / "gate-1.pub")
    stored.keys = Keys.open(tmp_path / "new")
    store = open_store(stored.bucket.storage, credentials=stored.bucket.credentials)
    stored.registry = Registry(store, stored.use_case.name, clock=lambda: NOW, actor="gate", keys=stored.keys)
    # 3. The next decision is the new key's, the whole log is sound, and the server takes it.
    new = stored.promote(1)
    assert old.digest != new.digest and verify(store, stored.keys).sound
    server = serve()
    server.wait_ready(WITHIN)
    assert score(server).json()["model_version"] == new.digest
    server.stop()
    (stored.public / "gate-2.pub").unlink()
    server = serve()
    assert server.process.wait(WITHIN) == REFUSED
    assert "signed by a key that is not trusted here" in (tmp_path / "server.log").read_text()
