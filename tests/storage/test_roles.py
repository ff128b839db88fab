"""What the users of the store may do and what not, asked of a real MinIO."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from minio.commonconfig import GOVERNANCE
from minio.error import S3Error
from minio.retention import Retention
from servers import S3, minio_program, start_minio

from sluice.errors import SettingsError, StoreError
from sluice.rollout.lease import Lease
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store
from sluice.storage.bucket import init_store
from sluice.storage.roles import ROLES, Places, roles_with
from sluice.storage.users import ensure_credentials, make_users, write_policies

STORE = "stores/fraud"
RUN = "pipelines/fraud-training/5f1c"
DECISION = f"{STORE}/registry/fraud/log/00000001.json"
BLOB = f"{STORE}/blobs/ab/{'ab' * 32}"
THERE = {
    "raw/day-1.parquet": "events",
    f"{RUN}/ingest/1/history/events.parquet": "history",
    f"{RUN}/features/2/rows": "rows",
    f"{RUN}/split/3/train/rows.parquet": "train",
    f"{RUN}/split/3/validation/rows.parquet": "validation",
    f"{RUN}/split/3/sealed/rows.parquet": "sealed",
    f"{RUN}/train/4/model/model.onnx": "model",
    f"{RUN}/select/5/challenger/version/model.onnx": "challenger",
    f"{RUN}/gate/6/verdict/sealed_scores.parquet": "verdict",
    f"{RUN}/gather/7/gathered/known.parquet": "gathered",
    f"{RUN}/detect/8/finding/drift.json": "finding",
    f"{RUN}/judge/9/found/monitor.html": "found",
    f"{STORE}/monitoring/fraud/windows/{'cd' * 32}/20260305T000000Z.json": "windows",
    f"{STORE}/checkpoints/d1/epoch-00001.npz": "checkpoint",
    BLOB: "blob",
    f"{STORE}/data/fraud/{'ab' * 32}.json": "registration",
    f"{STORE}/registry/fraud/versions/{'cd' * 32}.json": "version",
    f"{STORE}/registry/fraud/signatures/{'cd' * 32}.json": "signature",
    f"{STORE}/registry/fraud/runs/r1/started.json": "run",
    f"{STORE}/payloads/fraud/requests/any/2026-03-01/1.parquet": "payloads",
    f"{STORE}/registry/fraud/rollout/lease.json": "lease",
    DECISION: "decision",
    "somebody/elses": "other",
}
MAY_READ = {
    "preparer": {"events", "history", "rows", "blob", "version", "signature", "run", "decision", "lease"},
    "trainer": {"train", "validation", "model", "checkpoint"},
    "gate": {
        *("history", "train", "validation", "sealed", "challenger"),
        *("blob", "registration", "version", "signature", "run", "decision", "lease", "windows"),
    },
    "rollout": {"blob", "version", "signature", "decision", "lease"},
    "server": {"blob", "version", "signature", "decision"},
    "receiver": set(),
    "monitor": {
        *("events", "gathered", "finding", "blob", "version", "signature", "decision"),
        *("payloads", "windows"),
    },
    "keeper": {"payloads"},
    "exporter": {"decision", "windows"},
}
MAY_WRITE = {
    "preparer": {"history", "rows", "train", "validation", "sealed", "run"},
    "trainer": {"model", "challenger", "checkpoint"},
    "gate": {"verdict", "blob", "registration", "version", "signature", "run", "decision"},
    "rollout": {"signature", "decision", "lease"},
    "server": set(),
    "receiver": {"payloads"},
    "monitor": {"gathered", "finding", "found", "windows"},
    "keeper": {"payloads"},
    "exporter": set(),
}
MAY_DELETE = {"trainer": {"checkpoint"}, "rollout": {"lease"}, "keeper": {"payloads"}}
pytestmark = pytest.mark.minio


@dataclass(frozen=True)
class Place:
    """A MinIO with the users of the roles, and an object of every kind in its bucket."""

    s3: S3
    users: dict[str, dict[str, str]]

    def as_role(self, role: str) -> S3:
        """The service with a role's keys."""
        keys = self.users[role]
        return S3(self.s3.endpoint, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])

    def store(self, role: str, prefix: str = STORE) -> Store:
        """The store (or another part of the bucket) with a role's keys."""
        service = self.as_role(role)
        return open_store(service.storage("sluice", prefix), credentials=service.credentials)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("roles")
    program = minio_program()
    if program is None:
        pytest.skip("users are made only in a MinIO of our own")
    s3 = start_minio(program, folder / "minio")
    assert s3.server is not None
    storage = s3.storage("sluice", STORE)
    assert init_store(storage, credentials=s3.credentials)
    users = ensure_credentials(folder / "roles")
    make_users(storage, Places.of(storage.url), users, credentials=s3.credentials)
    root = open_store(s3.storage("sluice"), credentials=s3.credentials)
    for key, what in THERE.items():
        root.put(key, what.encode())
    yield Place(s3, users)
    s3.server.kill()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_what_its_steps_read_and_nothing_else(place: Place, role: str) -> None:
    store = place.store(role, "")
    for key, what in THERE.items():
        if what in MAY_READ[role]:
            assert store.get(key) == what.encode()
            assert key in {*store.keys(_folder(key, what)), f"{RUN}/features/2/rows"}, f"{role} lists {key}"
        else:
            with pytest.raises(StoreError, match="may not do this"):
                store.get(key)
            with pytest.raises(StoreError, match="may not do this"):
                list(store.keys(_folder(key, what)))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_writes_what_its_steps_write_and_nothing_else(place: Place, role: str) -> None:
    store = place.store(role, "")
    for key, what in THERE.items():
        if what in MAY_WRITE[role]:
            store.put(key, what.encode())
        else:
            with pytest.raises(StoreError, match="may not do this"):
                store.put(key, b"forged")
    root = open_store(place.s3.storage("sluice"), credentials=place.s3.credentials)
    assert {key: root.get(key).decode() for key in THERE} == THERE


@pytest.mark.parametrize("role", ROLES)
def test_only_checkpoints_payloads_and_signs_of_life_are_deleted_by_whose_they_are(place: Place, role: str) -> None:
    store = place.store(role, "")
    for key, what in THERE.items():
        if what in MAY_DELETE.get(role, ()):
            store.delete(key)
            open_store(place.s3.storage("sluice"), credentials=place.s3.credentials).put(key, what.encode())
        else:
            with pytest.raises(StoreError, match="may not do this"):
                store.delete(key)


def test_what_the_keeper_takes_away_is_gone_with_its_versions(place: Place) -> None:
    key = "payloads/fraud/responses/any/2026-03-02/1.parquet"
    receiver, keeper = place.store("receiver"), place.store("keeper")
    for data in (b"first", b"second"):
        receiver.put(key, data)
    keeper.purge(key)
    left = place.s3.client.list_objects("sluice", prefix=f"{STORE}/{key}", include_version=True)
    assert list(left) == []


def test_a_rollout_takes_and_gives_back_its_claim_on_a_model_that_nobody_rolled_out_before(place: Place) -> None:
    lease = Lease(place.store("rollout"), "new", lasts=timedelta(seconds=5), clock=lambda: datetime.now(UTC))
    for _ in range(2):
        lease.take()
        lease.renew()
        lease.release()


def test_a_place_in_the_log_cannot_be_taken_under_another_name(place: Place) -> None:
    """`registry/*/runs/*` would match these, were the log not denied."""
    for role in ("preparer", "trainer", "server", "monitor", "keeper"):
        store = place.store(role)
        for key in ("registry/fraud/log/runs/00000002.json", "registry/fraud/log/x/runs/y", "registry/fraud/log/x"):
            with pytest.raises(StoreError, match="may not do this"):
                store.put(key, b"forged")


def test_a_trainer_cannot_reach_sealed_rows_by_a_name_that_it_may_read(place: Place) -> None:
    store = place.store("trainer", "")
    for key in (f"{RUN}/split/3/sealed/train/4/model/rows.parquet", f"{RUN}/split/3/train/split/3/sealed/x"):
        with pytest.raises(StoreError, match="may not do this"):
            store.put(key, b"")
        with pytest.raises(StoreError, match="may not do this"):
            store.get(key)


def test_a_decision_is_locked_when_it_is_written_and_nobody_takes_it_away(place: Place) -> None:
    gate = place.store("gate")
    key, full = "registry/fraud/log/00000002.json", f"{STORE}/registry/fraud/log/00000002.json"
    assert gate.put_locked(key, b"promoted")
    assert not gate.put_locked(key, b"forged")
    assert gate.get(key) == b"promoted"
    found = place.s3.client.get_object_retention("sluice", full)
    assert found is not None and found.mode == GOVERNANCE
    version = place.s3.client.stat_object("sluice", full).version_id
    assert version is not None
    for role in ROLES:
        client = place.as_role(role).client
        with pytest.raises(S3Error, match="AccessDenied"):
            client.remove_object("sluice", full, version_id=version)
        with pytest.raises(S3Error, match="AccessDenied"):
            shorter = Retention(GOVERNANCE, found.retain_until_date - timedelta(days=300))
            client.set_object_retention("sluice", full, shorter, version_id=version)
        with pytest.raises(S3Error, match="AccessDenied"):
            client.remove_object("sluice", full)
    # Not even the administrator, unless she says that she means it.
    with pytest.raises(S3Error, match="WORM protected"):
        place.s3.client.remove_object("sluice", full, version_id=version)


def test_an_overwritten_decision_leaves_the_first_one_and_its_trace(place: Place) -> None:
    """No condition of MinIO's policies asks for If-None-Match, so the gate's key could write over a decision."""
    gate = place.store("gate")
    key = "registry/fraud/log/00000003.json"
    assert gate.put_locked(key, b"refused")
    assert gate.versions("registry/fraud/log")[key] == 1
    gate.put(key, b"promoted")
    assert gate.versions("registry/fraud/log")[key] == 2


def test_roles_are_made_again_with_new_secrets(place: Place, tmp_path: Path) -> None:
    storage = place.s3.storage("sluice", STORE)
    users = ensure_credentials(tmp_path)
    assert users == ensure_credentials(tmp_path)
    assert (tmp_path / "gate" / "AWS_SECRET_ACCESS_KEY").stat().st_mode & 0o077 == 0
    make_users(storage, Places.of(storage.url), users, credentials=place.s3.credentials)
    changed = Place(place.s3, users)
    assert changed.store("server").get("registry/fraud/log/00000001.json") == b"decision"
    with pytest.raises(StoreError, match="the secret key is wrong"):
        place.store("server").get("registry/fraud/log/00000001.json")
    make_users(storage, Places.of(storage.url), place.users, credentials=place.s3.credentials)


def test_with_labels_a_rollout_reads_answers_and_labels_and_nothing_else_more(place: Place) -> None:
    storage, keys = place.s3.storage("sluice", STORE), place.s3.credentials
    rollout = {"rollout": place.users["rollout"]}
    wanted = roles_with(rollout_labels=True)
    try:
        make_users(storage, Places.of(storage.url), rollout, roles=wanted, credentials=keys)
        store = place.store("rollout", "")
        may = MAY_READ["rollout"] | {"payloads", "events"}
        for key, what in THERE.items():
            if what in may:
                assert store.get(key) == what.encode() and key in set(store.keys(_folder(key, what)))
            else:
                with pytest.raises(StoreError, match="may not do this"):
                    store.get(key)
        with pytest.raises(StoreError, match="may not do this"):
            store.put("raw/day-1.parquet", b"forged")
    finally:
        make_users(storage, Places.of(storage.url), rollout, credentials=keys)


def test_users_are_made_by_the_administrator_alone(place: Place) -> None:
    storage, gate = place.s3.storage("sluice", STORE), place.as_role("gate")
    with pytest.raises(StoreError, match="may not make the user of preparer"):
        make_users(storage, Places.of(storage.url), place.users, credentials=gate.credentials)


def test_policies_for_an_s3_elsewhere_are_written(tmp_path: Path) -> None:
    paths = write_policies(tmp_path, Places.of("s3://ours/a", sources=("s3://theirs/events/",)))
    assert [path.stem for path in paths] == list(ROLES)
    trainer = json.dumps(json.loads((tmp_path / "trainer.json").read_text()))
    preparer = json.loads((tmp_path / "preparer.json").read_text())
    assert "theirs" not in trainer and "arn:aws:s3:::theirs/events*" in preparer["Statement"][0]["Resource"]
    listed = [each for each in preparer["Statement"] if "s3:ListBucket" in each["Action"]]
    assert [each["Condition"]["StringLike"]["s3:prefix"] for each in listed] == [["*"], ["events*"]]
    assert '"*"' not in trainer, "training never asks for what may not be there"


@pytest.mark.parametrize(
    ("url", "pipelines", "sources", "said"),
    [
        (".sluice/store", "pipelines", (), "roles are for a bucket"),
        ("s3://ours/a", "a", (), "needs a prefix of its own"),
        ("s3://ours", "pipelines", ("raw",), "a source is s3://bucket/prefix"),
    ],
)
def test_places_that_cannot_be_are_refused(url: str, pipelines: str, sources: tuple[str, ...], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Places.of(Storage(url=url).url, pipelines, sources)


def test_the_command_makes_bucket_and_users_from_the_environment(place: Place, tmp_path: Path) -> None:
    surroundings = {
        **os.environ,
        **place.s3.environment,
        "SLUICE_STORE_URL": "s3://another",
        "SLUICE_STORE_ENDPOINT": place.s3.endpoint,
        "SLUICE_STORE_ALLOW_HTTP": "true",
    }
    command = [sys.executable, "-m", "sluice_cli", "init", "--roles", str(tmp_path / "roles")]
    for role in ROLES:
        _write(tmp_path / "roles" / role / "AWS_ACCESS_KEY_ID", f"another-{role}")
    for said in ("made s3://another", "there already: s3://another"):
        done = subprocess.run(command, env=surroundings, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout and "made the users of preparer, trainer, gate, rollout, server" in done.stdout
    made = ensure_credentials(tmp_path / "roles")["preparer"]
    another = S3(place.s3.endpoint, made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"])
    store = open_store(another.storage("another"), credentials=another.credentials)
    store.put("registry/fraud/runs/r1/started.json", b"{}")
    with pytest.raises(StoreError, match="may not do this"):
        place.store("preparer", "").put("another/x", b"")
    with pytest.raises(StoreError, match="may not do this"):
        open_store(place.s3.storage("another"), credentials=place.as_role("gate").credentials).get("registry/x")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def _folder(key: str, what: str) -> str:
    """What is listed to find a key: a step's output as a whole, else the folder that the key is in."""
    return key[: key.index(f"/{what}") + len(what) + 1] if key.startswith(RUN) else key.rsplit("/", 1)[0]
