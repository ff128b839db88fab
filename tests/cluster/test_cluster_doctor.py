"""`sluice doctor --cluster` at a real API server: a namespace with nothing in it, and what makes it whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from conftest import Apply

from tools.cluster.cluster import Cluster

ROOT = Path(__file__).parents[2]
ROLES = ("preparer", "trainer", "gate", "rollout", "server", "monitor", "keeper")


def doctor(cluster: Cluster, namespace: str, overlay: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and findings of the command, run where the cluster can be reached."""
    words = ["doctor", str(ROOT / "use_cases" / "fraud.yaml"), "--json", "--cluster", f"--namespace={namespace}"]
    words += ["--overlay", str(ROOT / "manifests" / "settings" / "cluster.yaml"), "--overlay", str(overlay)]
    done = cluster.run([sys.executable, "-m", "sluice_cli", *words])
    assert done.stdout, done.stderr
    return done.returncode, {each["what"]: each for each in json.loads(done.stdout)}


def secret(namespace: str, name: str, *keys: str, kind: str = "Secret") -> dict[str, Any]:
    """A Secret or ConfigMap with these keys."""
    content = {"stringData" if kind == "Secret" else "data": dict.fromkeys(keys, "x")}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **content}


def account(namespace: str, name: str) -> dict[str, Any]:
    """A ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def test_it_tells_what_a_namespace_lacks_until_it_is_there(
    cluster: Cluster, namespace: str, apply: Apply, tmp_path: Path
) -> None:
    overlay = tmp_path / "here.yaml"
    overlay.write_text(yaml.safe_dump({"pipeline": {"gpu": {"node_value": "no such card"}}}))
    code, found = doctor(cluster, namespace, overlay)
    assert code == 1
    assert found["Kubernetes"]["found"] == "v1.34.4"
    assert found["inferenceservices.serving.kserve.io"]["state"] == "ok"
    assert found["httproutes.gateway.networking.k8s.io"]["state"] == "ok"
    assert found[f"namespace {namespace}"]["state"] == "ok"
    lacking = {what for what, each in found.items() if each["state"] == "missing"}
    ours = {f"secrets/sluice-store-{role}" for role in ROLES} | {"secrets/sluice-gate-key", "secrets/sluice-redis"}
    ours |= {"configmaps/sluice-public-keys", "serviceaccounts/sluice-pipeline", "serviceaccounts/sluice-server"}
    assert ours | {"GPU pool"} <= lacking
    assert all(found[what]["advice"] for what in lacking)

    stores = [secret(namespace, f"sluice-store-{r}", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") for r in ROLES]
    apply(
        *stores,
        secret(namespace, "sluice-gate-key", "gate.key", "gate.pub"),
        secret(namespace, "sluice-redis", "password"),
        secret(namespace, "sluice-public-keys", "gate.pub", kind="ConfigMap"),
        account(namespace, "sluice-pipeline"),
        account(namespace, "sluice-server"),
    )
    overlay.write_text(yaml.safe_dump({"pipeline": {"gpu": {"count": 0}}}))
    _, whole = doctor(cluster, namespace, overlay)
    assert {whole[what]["state"] for what in ours | {"GPU pool"}} == {"ok"}


def test_a_namespace_that_is_not_there(cluster: Cluster, tmp_path: Path) -> None:
    overlay = tmp_path / "here.yaml"
    overlay.write_text("{}")
    code, found = doctor(cluster, "nowhere", overlay)
    assert (code, found["namespace nowhere"]["state"]) == (1, "missing")
