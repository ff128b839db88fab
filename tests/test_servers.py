"""The servers that other tests start are real, and end with them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from servers import Bucket

from sluice.storage import open_store

TESTS = Path(__file__).parent


@pytest.mark.redis
def test_redis_answers(redis_address: str) -> None:
    host, port = redis_address.split(":")
    with redis.Redis(host=host, port=int(port)) as client:
        assert client.ping()


@pytest.mark.minio
def test_every_test_gets_an_empty_bucket(minio: Bucket) -> None:
    assert list(open_store(minio.storage, credentials=minio.credentials).keys()) == []


@pytest.mark.minio
def test_a_server_ends_even_when_the_tests_are_killed(minio: Bucket, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, servers;"
        f"s = servers.start_minio(servers.minio_program(), pathlib.Path({str(tmp_path)!r}));"
        "print(s.server.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, check=False)
    process = Path("/proc") / done.stdout.strip()
    deadline = time.monotonic() + 240
    while _runs(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(process)


def _runs(process: Path) -> bool:
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_a_server_tests_are_skipped_with_one_loud_line_or_fail(tmp_path: Path) -> None:
    blind = "import shutil\n\nshutil.which = lambda name: None\n"
    conftest = (TESTS / "conftest.py").read_text().replace("import pytest\n", f"import pytest\n{blind}", 1)
    (tmp_path / "conftest.py").write_text(conftest)
    shutil.copytree(TESTS / "servers", tmp_path / "servers")
    (tmp_path / "test_it.py").write_text(
        "def test_one(redis_address): pass\ndef test_two(minio): pass\ndef test_three(minio): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin"}
    skipped = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "3 skipped" in skipped.stdout, skipped.stdout
    assert skipped.stdout.count("!! TESTS WITHOUT MINIO WERE SKIPPED") == 1
    assert skipped.stdout.count("!! TESTS WITHOUT REDIS WERE SKIPPED") == 1
    complete = {**environment, "SLUICE_TESTS_COMPLETE": "1"}
    failed = subprocess.run(command, env=complete, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "nothing may be skipped" in failed.stdout
