"""What every overlay keeps, read from the rendered YAML."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.manifests.rendered import (
    DRIFT,
    EXPLAINER,
    LEDGER,
    MANIFESTS,
    OVERLAYS,
    Document,
    identity,
    of_kind,
    overlay,
    pods,
)

pytestmark = pytest.mark.parametrize("name", [*OVERLAYS, LEDGER, EXPLAINER, DRIFT])
WRITABLE = {"emptyDir", "persistentVolumeClaim"}
ALLOWED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
TOKEN_NEEDED = {"sluice-pipeline": "Kubeflow's launcher and Argo's executor talk to the API server"}


def test_pods_are_fit_for_the_restricted_pod_security_standard(name: str) -> None:
    for pod in pods(overlay(name)):
        spec = pod.spec
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec), pod.maker
        for container in pod.containers:
            context = {**spec.get("securityContext", {}), **container["securityContext"]}
            where = f"{pod.maker}/{container['name']}"
            assert context["runAsNonRoot"] is True and context["runAsUser"] > 0, where
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert context["allowPrivilegeEscalation"] is False and "privileged" not in context, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert "hostPort" not in str(container.get("ports", "")), where
        for volume in spec.get("volumes", ()):
            assert set(volume) - {"name"} <= ALLOWED_VOLUMES, f"{pod.maker}: {volume}"


def test_containers_write_only_to_volumes(name: str) -> None:
    for pod in pods(overlay(name)):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod.maker
            for mount in container.get("volumeMounts", ()):
                kind = set(volumes.get(mount["name"], {"persistentVolumeClaim": {}})) - {"name"}
                assert mount.get("readOnly") or kind <= WRITABLE, f"{pod.maker}: {mount}"
        for volume in volumes.values():
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], f"{pod.maker}: {volume}"


def test_containers_say_what_they_need_and_at_most_take(name: str) -> None:
    for pod in pods(overlay(name)):
        for container in pod.containers:
            for kind in ("requests", "limits"):
                assert set(container["resources"][kind]) >= {"cpu", "memory"}, f"{pod.maker}: {kind}"


def test_what_runs_on_is_probed(name: str) -> None:
    for pod in pods(overlay(name)):
        if pod.maker.split("/")[0] in ("Job", "CronJob"):
            continue
        for container in pod.spec["containers"]:
            missing = {"startupProbe", "livenessProbe", "readinessProbe"} - set(container)
            assert not missing, f"{pod.maker}: no {missing}"


def test_each_pod_has_an_account_of_its_own_and_a_token_only_where_it_is_needed(name: str) -> None:
    documents = overlay(name)
    accounts = {account["metadata"]["name"]: account for account in of_kind(documents, "ServiceAccount")}
    makers = [pod.spec["serviceAccountName"] for pod in pods(documents)]
    assert len(makers) == len(set(makers)), "two workloads share an account"
    for pod in pods(documents):
        assert pod.spec["serviceAccountName"] in accounts, pod.maker
        assert pod.spec["automountServiceAccountToken"] is False, pod.maker
        assert pod.spec["enableServiceLinks"] is False, pod.maker
    for account, document in accounts.items():
        assert document["automountServiceAccountToken"] is (account in TOKEN_NEEDED), account


def test_images_are_pinned_to_a_release(name: str) -> None:
    """A tag of a release in this tree; `make release` writes digests. Never `latest`, never none."""
    for pod in pods(overlay(name)):
        for container in pod.containers:
            image = container["image"]
            tag = re.search(r"(@sha256:[0-9a-f]{64}|:[\w][\w.-]*)$", image)
            assert tag is not None and tag[0] != ":latest", f"{pod.maker}: {image}"
            assert container["imagePullPolicy"] == "IfNotPresent", pod.maker


def test_roles_name_their_verbs_and_none_reads_secrets(name: str) -> None:
    documents = overlay(name)
    assert not of_kind(documents, "ClusterRole", "ClusterRoleBinding")
    for role in of_kind(documents, "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]], identity(role)
            assert not {"secrets", "pods/exec", "serviceaccounts/token"} & set(rule["resources"]), identity(role)


def test_no_secret_lies_in_the_tree(name: str) -> None:
    documents = overlay(name)
    assert not [secret for secret in of_kind(documents, "Secret") if secret.get("data") or secret.get("stringData")]
    for path in MANIFESTS.rglob("*"):
        assert not path.is_file() or "PRIVATE KEY" not in path.read_text(), path


def test_the_overlay_says_which_secrets_have_to_be_there(name: str) -> None:
    said = _spread((MANIFESTS / "overlays" / name / "kustomization.yaml").read_text())
    for secret in sorted(_secrets(overlay(name))):
        assert secret in said, f"overlays/{name}/kustomization.yaml does not name the Secret {secret}"


def test_objects_are_labelled_and_in_one_namespace(name: str) -> None:
    documents = overlay(name)
    for document in documents:
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "sluice", identity(document)
        assert labels["app.kubernetes.io/name"], identity(document)
    namespaces = {document["metadata"].get("namespace") for document in documents} - {None}
    assert namespaces == ({"sluice"} if name != "existing" else set())
    assert len({(d["kind"], d["metadata"]["name"]) for d in documents}) == len(documents)


def test_selectors_find_their_pods(name: str) -> None:
    documents = overlay(name)
    labels = [pod.labels for pod in pods(documents)]
    for document in of_kind(documents, "Service", "PodDisruptionBudget"):
        selector = document["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= found.items() for found in labels), identity(document)
    for document in of_kind(documents, "StatefulSet", "Deployment"):
        wanted = document["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= document["spec"]["template"]["metadata"]["labels"].items(), identity(document)


def test_what_runs_more_than_once_is_spread_and_keeps_one_through_a_drain(name: str) -> None:
    documents = overlay(name)
    budgets = of_kind(documents, "PodDisruptionBudget")
    for pod, document in ((pod, _maker(documents, pod.maker)) for pod in pods(documents)):
        replicas = document["spec"].get("replicas", pod.spec.get("minReplicas", 1))
        if replicas < 2:
            continue
        budget = [b for b in budgets if b["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()]
        assert len(budget) == 1 and budget[0]["spec"]["maxUnavailable"] < replicas, pod.maker
        if document["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode") != "Knative":
            spread = pod.spec["topologySpreadConstraints"]
            assert all(each["labelSelector"]["matchLabels"].items() <= pod.labels.items() for each in spread)


def test_stored_data_outlives_what_stores_it(name: str) -> None:
    for document in of_kind(overlay(name), "StatefulSet"):
        assert document["spec"]["persistentVolumeClaimRetentionPolicy"] == {
            "whenDeleted": "Retain",
            "whenScaled": "Retain",
        }
        assert "persistentVolumeClaim" not in str(document["spec"]["template"]), identity(document)
    assert not of_kind(overlay(name), "PersistentVolumeClaim", "PersistentVolume"), "deleted with the rest"


def test_each_file_holds_one_object(name: str) -> None:
    for path in MANIFESTS.rglob("*.yaml"):
        assert path.read_text().count("\nkind:") <= 1, path


def _maker(documents: tuple[Document, ...], maker: str) -> Document:
    return next(document for document in documents if identity(document) == maker)


def _secrets(value: Any) -> set[str]:
    """Names of all Secrets that something refers to."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("secretRef", "secretKeyRef"):
                found.add(inner["name"])
            if key == "secretName":
                found.add(inner)
            found |= _secrets(inner)
    if isinstance(value, list | tuple):
        for inner in value:
            found |= _secrets(inner)
    return found


def _spread(text: str) -> str:
    """`a-{b,c}` as `a-b a-c`, as a shell would."""
    return re.sub(r"(\S*)\{([\w,]+)\}", lambda m: " ".join(m[1] + part for part in m[2].split(",")), text)
