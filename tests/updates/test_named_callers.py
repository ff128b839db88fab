"""A Redis over TLS that knows its callers, with the rights that the manifests give them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import redis
import yaml
from servers import Redis, Server, durable_redis, free_port
from streamed_world import DAY, ROOT, Streamed, case, keys_of, open_state, states, streamed, updater, wrong_features

from sluice.errors import FeatureError
from sluice.features.online import OnlineFeatures
from sluice.features.redis_rows import PASSWORD, USER
from sluice.settings import UseCase
from sluice.updates.producer import Producer
from sluice.updates.source import Partition, partitions_of, stream_name

pytestmark = pytest.mark.redis
ADMIN = "an admin's"
CALLERS = ("server", "producer", "updater")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def server(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """The named callers' rights are the component's; their passwords are their names."""
    rights = yaml.safe_load((ROOT / "manifests/components/redis/configmap.yaml").read_text())["data"]
    folder = tmp_path_factory.mktemp("redis")
    users = [f"user default on >{ADMIN.replace(' ', '-')} allkeys allcommands"]
    users += [f"user {name} on >{name}-password {rights[f'{name}.acl']}" for name in CALLERS]
    (folder / "users.acl").write_text("\n".join(users) + "\n")
    made, port = durable_redis(folder), free_port()
    options = {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(certificate / "cert.pem"),
        "tls-key-file": str(certificate / "key.pem"),
        "tls-auth-clients": "no",
        "aclfile": str(folder / "users.acl"),
    }
    command = [*made.server.command, *(word for name, value in options.items() for word in (f"--{name}", value))]
    over_tls = Redis(Server(command, f"127.0.0.1:{port}"))
    over_tls.server.start()
    yield over_tls
    over_tls.server.kill()


@pytest.fixture(scope="module")
def world() -> Streamed:
    return streamed(days=33, cards=40, terminals=20)


@pytest.fixture
def use_case(server: Redis, certificate: Path) -> UseCase:
    return case(server.address, tls=True, ca=str(certificate / "cert.pem"))


def become(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From here on connections are this caller's."""
    monkeypatch.setenv(USER, name)
    monkeypatch.setenv(PASSWORD, ADMIN.replace(" ", "-") if name == "default" else f"{name}-password")


def test_each_caller_does_its_work_and_no_other(
    use_case: UseCase,
    server: Redis,
    certificate: Path,
    world: Streamed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    become(monkeypatch, "default")
    OnlineFeatures.open(use_case, tmp_path / "pipeline").materialise(*world.before())

    become(monkeypatch, "producer")
    producer = Producer(use_case)
    producer.send(world.records)
    stranger = OnlineFeatures.open(use_case, tmp_path / "producer")
    with pytest.raises(FeatureError, match="hmget"):
        stranger.watermarks()

    become(monkeypatch, "updater")
    service = updater([use_case], tmp_path / "updater")
    for _ in range(8):
        service.turn()
    service.look()
    assert service.why_not_ready == ""

    become(monkeypatch, "server")
    reader = OnlineFeatures.open(use_case, tmp_path / "server")
    assert wrong_features(reader, use_case, world, world.start + DAY) == []
    before = states(open_state(use_case, tmp_path / "server"), keys_of(world))
    event = pl.DataFrame(world.events.tail(1)).with_columns(event_id=pl.lit("forged"))
    with pytest.raises(FeatureError, match="NoPermission"):
        reader.apply(event)
    with pytest.raises(FeatureError, match="NoPermission"):
        Producer(use_case).send(world.records[:1])
    assert states(open_state(use_case, tmp_path / "server"), keys_of(world)).keys() == before.keys()

    host, port = server.address.split(":")
    stream, elsewhere = stream_name(use_case, Partition("card", 0)), "other:stream"
    tls = {"ssl": True, "ssl_ca_certs": str(certificate / "cert.pem")}
    with redis.Redis(host, int(port), username="producer", password="producer-password", **tls) as forger:  # type: ignore[call-overload]
        for refused in (
            ("XADD", elsewhere, "*", "event", "{}"),
            ("XRANGE", stream, "-", "+"),
            ("XTRIM", stream, "MAXLEN", "0"),
            ("DEL", stream),
            ("HSET", service.followers[0].fence.name, "position", "9-9"),
            ("CONFIG", "GET", "*"),
            ("FLUSHALL",),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                forger.execute_command(*refused)


def test_without_a_name_nobody_writes_to_the_stream(use_case: UseCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(USER, raising=False)
    monkeypatch.delenv(PASSWORD, raising=False)
    with pytest.raises(FeatureError, match="Authentication required"):
        Producer(use_case).send([("event", {"event_id": "x", "card": "c", "terminal": "t"})])


def test_a_server_that_cannot_prove_its_name_is_not_talked_to(
    use_case: UseCase, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, "producer")
    record = [("event", {"event_id": "x", "card": "c", "terminal": "t"})]
    for wrong in (case(server.address, tls=True), case(server.address.replace("127.0.0.1", "localhost"), tls=True)):
        with pytest.raises(FeatureError, match="certificate verify failed"):
            Producer(wrong).send(record)  # type: ignore[arg-type]
    ca = use_case.features.online.ca
    with pytest.raises(FeatureError, match="certificate verify failed"):
        Producer(case(server.address.replace("127.0.0.1", "localhost"), tls=True, ca=ca)).send(record)  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match="does not answer"):
        Producer(case(server.address)).send(record)  # type: ignore[arg-type]
    assert len(partitions_of(use_case)) == 2
