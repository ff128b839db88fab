"""Our namespace: its Pod Security level, accounts, Secrets, and the Services that the settings name."""

from __future__ import annotations

from pathlib import PurePosixPath

from sluice.settings import UseCase
from sluice_cli.doctor.finding import Findings
from sluice_cli.doctor.places import service_of
from sluice_serving.cluster import Cluster, ForbiddenError

ENFORCE = "pod-security.kubernetes.io/enforce"
ACCOUNTS = ("sluice-pipeline", "sluice-rollout", "sluice-server")
STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def look_at_namespace(findings: Findings, cluster: Cluster, use_case: UseCase, namespace: str) -> None:
    """What the manifests put there, and what only you can."""
    found = cluster.get(f"/api/v1/namespaces/{namespace}")
    if found is None:
        findings.miss(f"namespace {namespace}", "is not there", "kubectl apply --server-side -k manifests/overlays/…")
        return
    level = found["metadata"].get("labels", {}).get(ENFORCE)
    if level == "restricted":
        findings.ok(f"namespace {namespace}", "enforces the restricted Pod Security Standard")
    else:
        advice = f"kubectl label namespace {namespace} {ENFORCE}=restricted; everything of Sluice fits it"
        findings.warn(f"namespace {namespace}", f"enforces {level or 'no Pod Security Standard'}", advice)
    for account in ACCOUNTS:
        _there(findings, cluster, namespace, "serviceaccounts", account, "apply the manifests")
    for name, keys in wanted_secrets(use_case).items():
        _keyed(findings, cluster, namespace, "secrets", name, keys)
    if use_case.pipeline.public_keys:
        _keyed(findings, cluster, namespace, "configmaps", use_case.pipeline.public_keys, ("gate.pub",))
    if use_case.pipeline.store_ca and use_case.storage.ca:
        name = PurePosixPath(use_case.storage.ca).name
        _keyed(findings, cluster, namespace, "configmaps", use_case.pipeline.store_ca, (name,))
    for address in (use_case.storage.endpoint, use_case.features.online.address):
        if service := service_of(address):
            _service(findings, cluster, *service)


def wanted_secrets(use_case: UseCase) -> dict[str, tuple[str, ...]]:
    """The Secrets that the settings name, with their keys."""
    pipeline = use_case.pipeline
    secrets: dict[str, tuple[str, ...]] = {}
    if pipeline.store_secrets:
        roles = ("preparer", "trainer", "gate", "rollout", "server", "monitor", "keeper")
        secrets |= {f"{pipeline.store_secrets}-{role}": STORE_KEYS for role in roles}
    if pipeline.gate_key:
        secrets[pipeline.gate_key] = ("gate.key", "gate.pub")
    if pipeline.redis_secret:
        secrets[pipeline.redis_secret] = ("password",)
    if pipeline.pseudonym_secret and use_case.data.pseudonym_key:
        secrets[pipeline.pseudonym_secret] = (use_case.data.pseudonym_key.rsplit("/", 1)[-1],)
    return secrets


def _there(findings: Findings, cluster: Cluster, namespace: str, kind: str, name: str, advice: str) -> None:
    if cluster.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}") is None:
        findings.miss(f"{kind}/{name}", f"is not in {namespace}", advice)
    else:
        findings.ok(f"{kind}/{name}", "is there")


def _keyed(findings: Findings, cluster: Cluster, namespace: str, kind: str, name: str, keys: tuple[str, ...]) -> None:
    what = f"{kind}/{name}"
    advice = f"make it with the keys {', '.join(keys)}: docs/manifests.md"
    try:
        found = cluster.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
    except ForbiddenError:
        findings.warn(what, "may not look", f"ask somebody who may whether it is there with {', '.join(keys)}")
        return
    lacking = [key for key in keys if key not in (found or {}).get("data", {})]
    if found is None:
        findings.miss(what, f"is not in {namespace}", advice)
    elif lacking:
        findings.miss(what, f"has no {', '.join(lacking)}", advice)
    else:
        findings.ok(what, ", ".join(keys))


def _service(findings: Findings, cluster: Cluster, name: str, namespace: str) -> None:
    selector = f"labelSelector=kubernetes.io%2Fservice-name%3D{name}"
    slices = cluster.items(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?{selector}")
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    ready = sum(bool(endpoint.get("conditions", {}).get("ready")) for endpoint in endpoints)
    if ready:
        findings.ok(f"service/{name}", f"{ready} pods behind it")
    else:
        advice = f"kubectl -n {namespace} get pods; the components `minio` and `redis` bring it"
        findings.miss(f"service/{name}", "no ready pod behind it", advice)
