"""`sluice doctor`: real stores, a real Redis, and a cluster's API played by a dictionary (the plumbing only)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import Bucket, Redis, free_port
from typer.testing import CliRunner

from sluice.registry import Keys
from sluice_cli import console
from sluice_cli.main import app

ROOT = Path(__file__).parents[2]
FRAUD = str(ROOT / "use_cases" / "fraud.yaml")
Findings = dict[str, dict[str, str]]


def doctor(*words: str) -> tuple[int, Findings]:
    """Exit code, and findings by what was looked at."""
    result = CliRunner().invoke(app, ["doctor", FRAUD, "--json", *words])
    return result.exit_code, {each["what"]: each for each in json.loads(result.stdout)}


def overlay(folder: Path, **sections: Any) -> str:
    """A file to lay over."""
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump(sections))
    return str(path)


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    """A store and keys of the test's own."""
    Keys.ensure(tmp_path / "keys")
    return {"url": str(tmp_path / "store"), "keys": str(tmp_path / "keys")}


def test_a_machine_where_nothing_is_missing(place: dict[str, Any], tmp_path: Path) -> None:
    code, found = doctor("--overlay", overlay(tmp_path, storage=place))
    assert code == 0
    assert {what: found[what]["state"] for what in ("Python", "package kfp", "store", "the gate's keys")} == {
        "Python": "ok",
        "package kfp": "ok",
        "store": "ok",
        "the gate's keys": "ok",
    }
    assert found["store: put-if-absent"]["state"] == "ok"
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_the_table_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 200)
    file = overlay(tmp_path, storage={"url": "/dev/null/store", "keys": str(tmp_path / "nothing")})
    result = CliRunner().invoke(app, ["doctor", FRAUD, "--overlay", file])
    assert result.exit_code == 1
    assert "set storage.url to a folder you own" in result.stdout
    assert "1 missing" in result.stdout


@pytest.mark.minio
def test_a_bucket_is_written_twice_and_left_as_it_was(
    minio: Bucket, place: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    where = {"url": minio.storage.url, "endpoint": minio.storage.endpoint, "allow_http": True}
    code, found = doctor("--overlay", overlay(tmp_path, storage={**place, **where}))
    assert code == 0
    assert found["store: put-if-absent"]["state"] == "ok"
    assert found["credentials"]["found"] == "from AWS_ACCESS_KEY_ID"
    assert list(minio.s3.client.list_objects(minio.name, recursive=True, include_version=True)) == []

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    code, found = doctor("--overlay", overlay(tmp_path, storage={**place, **where}))
    assert (code, found["store"]["state"]) == (1, "missing")
    assert "secret key is wrong" in found["store"]["found"]


@pytest.mark.minio
def test_a_store_behind_tls_is_trusted_by_its_authority_alone(
    tls_minio: Bucket, place: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tls_minio.environment.items():
        monkeypatch.setenv(name, value)
    where = {"url": tls_minio.storage.url, "endpoint": tls_minio.storage.endpoint}
    code, found = doctor("--overlay", overlay(tmp_path, storage={**place, **where, "ca": tls_minio.storage.ca}))
    assert (code, found["store: put-if-absent"]["state"]) == (0, "ok")
    code, found = doctor("--overlay", overlay(tmp_path, storage={**place, **where}))
    assert (code, found["store"]["state"]) == (1, "missing")
    assert "not signed by an authority" in found["store"]["found"]
    assert "storage.ca" in found["store"]["advice"]


@pytest.mark.redis
def test_a_redis_that_wants_a_password(
    own_redis: Redis, place: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = {"online": {"store": "redis", "address": own_redis.address}}
    file = overlay(tmp_path, storage=place, features=online)
    code, found = doctor("--overlay", file)
    assert (code, found["Redis"]["advice"]) == (1, "set SLUICE_REDIS_PASSWORD")
    monkeypatch.setenv("SLUICE_REDIS_PASSWORD", own_redis.password)
    code, found = doctor("--overlay", file)
    assert (code, found["Redis"]["state"]) == (0, "ok")


Api = Callable[[dict[str, Any]], None]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API server that knows the given paths; None there is a refusal."""
    known: dict[str, Any] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            status = 404 if path not in known else 403 if known[path] is None else 200
            body = json.dumps(known.get(path) or {"kind": "Status"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", monkeypatch)
    yield known.update
    server.shutdown()
    server.server_close()


def kubeconfig(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only configuration that is looked at."""
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", str(path))


CLUSTER = {
    "storage": {"endpoint": "http://minio.sluice.svc.cluster.local:9000", "allow_http": True, "url": "s3://sluice"},
    "pipeline": {"store_secrets": "sluice-store", "gate_key": "sluice-gate-key", "public_keys": "sluice-public-keys"},
}


def good() -> dict[str, Any]:
    """What a cluster with everything answers."""
    sluice = "/api/v1/namespaces/sluice"
    kinds = ("inferenceservices.serving.kserve.io", "gateways.gateway.networking.k8s.io")
    kinds += ("httproutes.gateway.networking.k8s.io",)
    image = {"containers": [{"image": "kserve/kserve-controller:v0.20.0"}]}
    node = {
        "metadata": {"labels": {"nvidia.com/gpu.product": "NVIDIA-GeForce-RTX-2080-Ti"}},
        "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"nvidia.com/gpu": "2", "memory": "65000000Ki"}},
    }
    programmed = {"conditions": [{"type": "Programmed", "status": "True"}]}
    gateway = {"metadata": {"name": "sluice"}, "spec": {"gatewayClassName": "envoy"}, "status": programmed}
    store = {"data": {"AWS_ACCESS_KEY_ID": "eA==", "AWS_SECRET_ACCESS_KEY": "eA=="}}
    return {
        "/version": {"major": "1", "minor": "34+", "gitVersion": "v1.34.4"},
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {
            "items": [{"metadata": {"name": name}} for name in kinds]
        },
        "/apis/apps/v1/namespaces/kserve/deployments/kserve-controller-manager": {
            "spec": {"template": {"spec": image}},
            "status": {"readyReplicas": 1},
        },
        "/api/v1/namespaces/kserve/configmaps/inferenceservice-config": {
            "data": {"deploy": '{"defaultDeploymentMode": "Standard"}'}
        },
        "/apis/gateway.networking.k8s.io/v1/namespaces/sluice/gateways": {"items": [gateway]},
        "/api/v1/nodes": {"items": [node]},
        sluice: {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        **{f"{sluice}/serviceaccounts/{name}": {} for name in ("sluice-pipeline", "sluice-rollout", "sluice-server")},
        **{
            f"{sluice}/secrets/sluice-store-{role}": store
            for role in ("preparer", "trainer", "gate", "rollout", "server", "monitor", "keeper")
        },
        f"{sluice}/secrets/sluice-gate-key": {"data": {"gate.key": "eA==", "gate.pub": "eA=="}},
        f"{sluice}/configmaps/sluice-public-keys": {"data": {"gate.pub": "x"}},
        "/apis/discovery.k8s.io/v1/namespaces/sluice/endpointslices": {
            "items": [{"endpoints": [{"conditions": {"ready": True}}]}]
        },
    }


def test_a_cluster_where_nothing_is_missing(api: Api, place: dict[str, Any], tmp_path: Path) -> None:
    api(good())
    sections = {**CLUSTER, "storage": {**CLUSTER["storage"], "keys": place["keys"]}}
    code, found = doctor("--cluster", "--overlay", overlay(tmp_path, **sections))
    assert {what for what, each in found.items() if each["state"] == "missing"} == set()
    assert code == 0
    assert found["GPU pool"]["found"].startswith("1 nodes, 2 cards")
    assert found["gateway sluice"]["state"] == "ok"
    # The store's address is the cluster's own: its Service is looked at instead.
    assert (found["store"]["state"], found["service/minio"]["state"]) == ("warning", "ok")


WRONG: list[tuple[str, Any, str, str]] = [
    ("/version", {"major": "1", "minor": "27", "gitVersion": "v1.27.0"}, "Kubernetes", "upgrade"),
    ("/api/v1/nodes", {"items": []}, "GPU pool", "label the nodes"),
    ("/api/v1/namespaces/sluice/secrets/sluice-store-gate", {"data": {}}, "secrets/sluice-store-gate", "make it"),
    ("/apis/discovery.k8s.io/v1/namespaces/sluice/endpointslices", {}, "service/minio", "get pods"),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {}, "inferenceservices.serving.kserve.io", "install"),
]


@pytest.mark.parametrize(("path", "document", "what", "advice"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_missing_comes_with_advice(
    api: Api, place: dict[str, Any], tmp_path: Path, path: str, document: Any, what: str, advice: str
) -> None:
    api({**good(), path: document})
    sections = {**CLUSTER, "storage": {**CLUSTER["storage"], "keys": place["keys"]}}
    code, found = doctor("--cluster", "--overlay", overlay(tmp_path, **sections))
    assert (code, found[what]["state"]) == (1, "missing")
    assert advice in found[what]["advice"]


def test_what_this_account_may_not_see_is_no_fault(api: Api, place: dict[str, Any], tmp_path: Path) -> None:
    api({**good(), "/api/v1/nodes": None, "/api/v1/namespaces/sluice/secrets/sluice-gate-key": None})
    sections = {**CLUSTER, "storage": {**CLUSTER["storage"], "keys": place["keys"]}}
    code, found = doctor("--cluster", "--overlay", overlay(tmp_path, **sections))
    assert code == 0
    assert {found[what]["state"] for what in ("GPU pool", "secrets/sluice-gate-key")} == {"warning"}


def test_a_cluster_that_is_not_there(place: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}", monkeypatch)
    code, found = doctor("--cluster", "--overlay", overlay(tmp_path, storage=place))
    assert (code, found["cluster"]["state"]) == (1, "missing")
    assert "does not answer" in found["cluster"]["found"]

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    code, found = doctor("--cluster", "--overlay", overlay(tmp_path, storage=place))
    assert (code, "no cluster is configured" in found["cluster"]["found"]) == (1, True)


@pytest.mark.model_registry
def test_kubeflows_model_registry(kubeflow_registry: str, place: dict[str, Any], tmp_path: Path) -> None:
    there = overlay(tmp_path, storage={**place, "model_registry": kubeflow_registry})
    code, found = doctor("--overlay", there)
    assert (code, found["model registry"]["state"]) == (0, "ok")
    gone = overlay(tmp_path, storage={**place, "model_registry": f"http://127.0.0.1:{free_port()}"})
    code, found = doctor("--overlay", gone)
    # Versions are made known there; they are not kept there.
    assert (code, found["model registry"]["state"]) == (0, "warning")
