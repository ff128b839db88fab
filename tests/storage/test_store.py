"""The door to stored bytes, on a folder and on a real MinIO."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from minio.versioningconfig import ENABLED
from servers import S3, Bucket, wait_until_ready

from sluice import digests
from sluice.errors import IntegrityError, StoreError
from sluice.settings.operation import Storage
from sluice.storage import Store, blob_key, open_store
from sluice.storage.bucket import init_store
from sluice.storage.store import MULTIPART_FROM


@pytest.fixture(params=["folder", pytest.param("minio", marks=pytest.mark.minio)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(Storage(url=str(tmp_path / "store")))
    bucket: Bucket = request.getfixturevalue("minio")
    return open_store(bucket.s3.storage(bucket.name, "a/prefix"), credentials=bucket.credentials)


def test_bytes_come_back(store: Store) -> None:
    store.put("a/b", b"1")
    store.put("a/b", b"2")
    assert store.get("a/b") == b"2"
    assert store.exists("a/b")
    assert not store.exists("a")
    store.put("a/c", b"")
    store.put("ab/c", b"")
    assert sorted(store.keys("a")) == ["a/b", "a/c"]
    entry = store.entry("a/b")
    assert entry is not None
    assert (entry.key, entry.size) == ("a/b", 1)
    store.delete("a/b")
    store.delete("a/b")
    assert store.entry("a/b") is None
    with pytest.raises(StoreError, match="a/b: not there"):
        store.get("a/b")


def test_of_64_writers_one_wins_and_its_bytes_stay(store: Store) -> None:
    barrier = Barrier(64)

    def write(number: int) -> bool:
        barrier.wait()
        return store.put_if_absent("one", str(number).encode() * 10_000)

    with ThreadPoolExecutor(64) as pool:
        won = [number for number, done in enumerate(pool.map(write, range(64))) if done]
    assert len(won) == 1
    assert store.get("one") == str(won[0]).encode() * 10_000


def test_a_blob_lies_under_its_digest(store: Store, tmp_path: Path) -> None:
    digest = store.put_blob(b"content")
    assert store.put_blob(b"content") == digest == digests.of_bytes(b"content")
    assert store.get_blob(digest) == b"content"
    store.put(blob_key(digest), b"other")
    with pytest.raises(IntegrityError, match="holds bytes with digest"):
        store.get_blob(digest)
    with pytest.raises(IntegrityError, match="holds bytes with digest"):
        store.get_blob_to_file(digest, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_a_large_file_goes_in_parts_there_and_back(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * (MULTIPART_FROM // 256) + b"and a rest")
    digest = store.put_blob(source)
    assert store.put_blob(source) == digest
    store.get_blob_to_file(digest, tmp_path / "back")
    assert digests.of_file(tmp_path / "back") == digest
    store.put("empty", b"")
    store.get_to_file("empty", tmp_path / "nothing")
    assert (tmp_path / "nothing").read_bytes() == b""


@pytest.mark.minio
@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"access_key_id": "nobody", "secret_access_key": "wrong"}, "the access key is unknown"),
        ({"secret_access_key": "wrong"}, "the secret key is wrong"),
    ],
)
def test_wrong_credentials_are_named(minio: Bucket, credentials: dict[str, str], message: str) -> None:
    store = open_store(minio.storage, credentials={**minio.credentials, **credentials})
    for action in (lambda: store.get("a"), lambda: store.put_if_absent("a", b""), lambda: list(store.keys("a"))):
        with pytest.raises(StoreError, match=message) as caught:
            action()
        assert "check AWS_" in caught.value.hint
    # The answer to a HEAD has no words.
    with pytest.raises(StoreError, match="credentials are wrong"):
        store.exists("a")


def test_no_credentials_are_told_before_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="there are no credentials"):
        open_store(Storage(url="s3://models", endpoint="http://127.0.0.1:1", allow_http=True))


@pytest.mark.minio
def test_a_missing_bucket_is_named_by_every_operation(s3: S3) -> None:
    store = open_store(s3.storage("never-made"), credentials=s3.credentials)
    for action in (
        lambda: store.get("a"),
        lambda: store.exists("a"),
        lambda: store.put("a", b""),
        lambda: store.put_if_absent("a", b""),
        lambda: list(store.keys("a")),
        lambda: store.delete("a"),
    ):
        with pytest.raises(StoreError, match="there is no such bucket") as caught:
            action()
        assert "sluice init" in caught.value.hint


@pytest.mark.minio
def test_init_makes_a_bucket_with_versions_and_purge_removes_them_all(s3: S3) -> None:
    name = f"made-{secrets.token_hex(6)}"
    storage = s3.storage(name, "prefix")
    assert init_store(storage, credentials=s3.credentials)
    assert not init_store(storage, credentials=s3.credentials)
    assert s3.client.get_bucket_versioning(name).status == ENABLED
    store = open_store(storage, credentials=s3.credentials)
    store.put("person", b"rows")
    store.put("person", b"more rows")
    store.put("person2", b"another's")
    store.delete("person")
    before = [entry.object_name for entry in s3.client.list_objects(name, recursive=True, include_version=True)]
    assert before.count("prefix/person") == 3
    store.purge("person")
    left = [entry.object_name for entry in s3.client.list_objects(name, recursive=True, include_version=True)]
    assert left == ["prefix/person2"]


def test_init_makes_a_folder(tmp_path: Path) -> None:
    storage = Storage(url=str(tmp_path / "deep" / "store"))
    assert init_store(storage)
    assert not init_store(storage)
    open_store(storage).put("a", b"")


@pytest.mark.minio
def test_a_dead_or_hanging_server_is_told_in_bounded_time(own_minio: Bucket) -> None:
    server = own_minio.s3.server
    assert server is not None
    store = open_store(own_minio.storage, credentials=own_minio.credentials)
    hasty = open_store(own_minio.storage, credentials=own_minio.credentials, answer_within=timedelta(seconds=1))
    store.put("a", b"1")
    server.pause()
    try:
        with pytest.raises(StoreError, match="the server does not answer"):
            hasty.get("a")
    finally:
        server.pause(paused=False)
    assert store.get("a") == b"1"
    server.kill()
    with pytest.raises(StoreError, match="the server does not answer"):
        hasty.put_if_absent("b", b"")
    with pytest.raises(StoreError, match="the server does not answer"):
        init_store(own_minio.storage, credentials=own_minio.credentials)
    server.start()
    wait_until_ready(own_minio.s3)
    assert store.get("a") == b"1"
    assert not store.exists("b")


def test_a_folder_that_cannot_be_made_or_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(Storage(url=str(tmp_path / "file" / "store")))


WRITER = """
import sys
from sluice.settings.operation import Storage
from sluice.storage import open_store
store = open_store(Storage(url=sys.argv[1]))
print("ready", flush=True)
for number in range(10**6):
    store.put("replaced", bytes([number % 256]) * 4_000_000)
    store.put_if_absent(f"new/{number}", bytes([number % 256]) * 4_000_000)
"""


def test_a_killed_writer_leaves_no_half_file_that_anyone_sees(tmp_path: Path) -> None:
    store = open_store(Storage(url=str(tmp_path)))
    for wait in ("0.01", "0.05", "0.1"):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        subprocess.run(["sleep", wait], check=True)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        for key in list(store.keys()):
            data = store.get(key)
            assert len(data) == 4_000_000
            assert len(set(data)) == 1


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    script = f"""
set -e
mount -t tmpfs -o size=1m tmpfs {tmp_path}
exec {sys.executable} - <<'END'
from sluice.errors import StoreError
from sluice.settings.operation import Storage
from sluice.storage import open_store
store = open_store(Storage(url="{tmp_path}"))
for write in (store.put, store.put_if_absent):
    try:
        write("large", bytes(3_000_000))
    except StoreError as error:
        print(error)
    assert list(store.keys()) == [] and not store.exists("large")
store.put("small", b"1")
END
"""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no private mounts here")
    done = subprocess.run([*alone, "bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the disk is full") == 2
    assert "free room" in done.stdout
