"""Each ServiceAccount tries what it must not do; the namespace refuses pods that are not restricted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Apply
from objects import pod

from tests.manifests.rendered import of_kind, overlay
from tools.cluster.kubectl import Kubectl, RefusedError

NAMESPACE = "test-rights"
ACCOUNTS = [each["metadata"]["name"] for each in of_kind(overlay("local"), "ServiceAccount")]
FORBIDDEN = {
    "read a Secret": ("get", "secret/sluice-gate-key"),
    "list Secrets": ("get", "secrets"),
    "list pods": ("get", "pods"),
    "read a pod's log": ("logs", "minio-0"),
    "go into a pod": ("exec", "minio-0", "--", "true"),
    "change where the store is": ("patch", "configmap/sluice-store", "--patch={}"),
    "change where artifacts go": ("patch", "configmap/kfp-launcher", "--patch={}"),
    "change what is trusted": ("patch", "configmap/sluice-public-keys", "--patch={}"),
    "change what is served": ("patch", "inferenceservice/fraud", "--type=merge", "--patch={}"),
    "move traffic": ("patch", "httproute/fraud", "--type=merge", "--patch={}"),
    "open a door": ("delete", "networkpolicy/default-deny"),
    "raise the quota": ("patch", "resourcequota/sluice", "--patch={}"),
    "run a pod": ("run", "mine", "--image=docker.io/sluice/echo:1"),
    "take a token": ("create", "token", "sluice-pipeline"),
    "give itself rights": (
        "create",
        "rolebinding",
        "mine",
        "--clusterrole=admin",
        f"--serviceaccount={NAMESPACE}:sluice-server",
    ),
    "see other namespaces": ("get", "namespaces"),
    "see the nodes": ("get", "nodes"),
}
ITS_WORK = {"sluice-rollout": {"list pods", "change what is served", "move traffic"}}


@pytest.fixture(scope="module")
def here(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Roles, accounts and what they could touch of the `local` overlay, in a namespace of the test's own."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}]
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "ResourceQuota", "LimitRange", "NetworkPolicy")
    kubectl.apply(*objects, *(_moved(each) for each in of_kind(overlay("local"), *kinds)))
    yield kubectl.in_namespace(NAMESPACE)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_is_refused_what_its_work_does_not_need(here: Kubectl, kubectl: Kubectl, account: str) -> None:
    as_it = kubectl.as_service_account(NAMESPACE, account)
    for what in FORBIDDEN.keys() - ITS_WORK.get(account, set()):
        command = FORBIDDEN[what]
        with pytest.raises(RefusedError, match=r"[Ff]orbidden") as refused:
            as_it(*command)
        assert f"system:serviceaccount:{NAMESPACE}:{account}" in str(refused.value), what


def test_steps_may_read_where_artifacts_go_and_say_how_they_ended(here: Kubectl, kubectl: Kubectl) -> None:
    step = kubectl.as_service_account(NAMESPACE, "sluice-pipeline")
    assert "defaultPipelineRoot" in step.get("configmap/kfp-launcher")["data"]
    rights = {line.split()[0]: line for line in step("auth", "can-i", "--list", "--no-headers").splitlines()}
    assert rights["workflowtaskresults.argoproj.io"].endswith("[create patch]")
    for account in ACCOUNTS:
        if account != "sluice-pipeline":
            with pytest.raises(RefusedError, match="forbidden"):
                kubectl.as_service_account(NAMESPACE, account).get("configmap/kfp-launcher")


def test_the_rollout_may_move_the_traffic_and_nothing_else(here: Kubectl, kubectl: Kubectl) -> None:
    rollout = kubectl.as_service_account(NAMESPACE, "sluice-rollout")
    lines = [line.split() for line in rollout("auth", "can-i", "--list", "--no-headers").splitlines()]
    rights = {line[0]: " ".join(line).split("[")[-1].rstrip("]") for line in lines if line and "[" not in line[0]}
    ours = {name: verbs for name, verbs in rights.items() if not name.startswith("selfsubject")}
    assert ours == {
        "inferenceservices.serving.kserve.io": "get list create patch delete",
        "httproutes.gateway.networking.k8s.io": "get create patch",
        "gateways.gateway.networking.k8s.io": "get",
        "pods": "list",
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"hostPID": True}, "hostPID"),
        ({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}, "hostPath"),
        ({"securityContext": {"runAsUser": 0}}, "runAsUser=0"),
    ],
)
def test_a_pod_that_is_not_restricted_is_refused(here: Kubectl, apply: Apply, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=f"violates PodSecurity.*{said}"):
        apply(pod(NAMESPACE, "wrong", **wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"privileged": True}, "privileged"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation != false"),
        ({"capabilities": {"add": ["NET_ADMIN"]}}, "unrestricted capabilities"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
    ],
)
def test_a_container_that_is_not_restricted_is_refused(
    here: Kubectl, apply: Apply, wrong: dict[str, Any], said: str
) -> None:
    wanted = pod(NAMESPACE, "wrong")
    container = wanted["spec"]["containers"][0]
    container["securityContext"] = {**container["securityContext"], **wrong}
    with pytest.raises(RefusedError, match=r"violates PodSecurity|Invalid value") as refused:
        apply(wanted)
    assert said in str(refused.value)


def test_a_volume_that_would_fill_the_quota_is_refused(here: Kubectl, apply: Apply) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "large", "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Ti"}}},
    }
    with pytest.raises(RefusedError, match="exceeded quota: sluice"):
        apply(claim)


def _moved(document: dict[str, Any]) -> dict[str, Any]:
    """The object in the test's namespace."""
    moved = {**document, "metadata": {**document["metadata"], "namespace": NAMESPACE}}
    if document["kind"] == "RoleBinding":
        moved["subjects"] = [{**each, "namespace": NAMESPACE} for each in document["subjects"]]
    return moved
