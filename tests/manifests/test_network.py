"""Every pod stands behind a default-deny, and the doors are where the work needs them and nowhere else.

This reads the policies. Whether a cluster enforces them is its network plug-in's matter.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.manifests.rendered import (
    DRIFT,
    EXPLAINER,
    LEDGER,
    OVERLAYS,
    Document,
    Pod,
    identity,
    named,
    of_kind,
    overlay,
    pods,
)

pytestmark = pytest.mark.parametrize("name", [*OVERLAYS, LEDGER, EXPLAINER, DRIFT])
STEP = Pod(
    "a pipeline's step",
    {
        "app.kubernetes.io/part-of": "sluice",
        "app.kubernetes.io/component": "pipeline",
        "workflows.argoproj.io/workflow": "fraud-training-x",
    },
    {"containers": []},
    "sluice",
)
STORES = {"store": 9000, "online-store": 6379}


def test_every_pod_is_denied_what_no_door_allows(name: str) -> None:
    documents = overlay(name)
    for pod in [*pods(documents), STEP]:
        denied = {kind for policy in _over(documents, pod) for kind in policy["spec"]["policyTypes"]}
        assert denied == {"Ingress", "Egress"}, pod.maker
    deny = named(documents, "NetworkPolicy", "default-deny")["spec"]
    assert "ingress" not in deny and "egress" not in deny


def test_every_door_names_ports(name: str) -> None:
    for policy in of_kind(overlay(name), "NetworkPolicy"):
        for rule in [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]:
            ports = rule.get("ports")
            assert ports or "namespaceSelector" in rule["from"][0], f"{identity(policy)} opens every port"


def test_servers_and_steps_reach_the_stores_and_the_stores_let_them_in(name: str) -> None:
    documents = overlay(name)
    for client in [pod for pod in pods(documents) if pod.labels["app.kubernetes.io/component"] == "server"] + [STEP]:
        for store in pods(documents):
            port = STORES.get(store.labels["app.kubernetes.io/component"])
            if port:
                assert _reaches(documents, client, store, port), f"{client.maker} to {store.maker}"
                assert not _reaches(documents, client, store, port + 1)


def test_an_updater_reaches_redis_and_nothing_else_of_ours(name: str) -> None:
    documents = overlay(name)
    for updater in (pod for pod in pods(documents) if pod.labels["app.kubernetes.io/component"] == "updater"):
        for other in pods(documents):
            component = other.labels["app.kubernetes.io/component"]
            for port in (6379, 8080, 9000):
                assert _reaches(documents, updater, other, port) is (component == "online-store" and port == 6379)
            assert not _reaches(documents, other, updater, 9090), other.maker


def test_nobody_reaches_a_step_and_only_gateway_prometheus_rollout_and_explainer_a_server(name: str) -> None:
    documents = overlay(name)
    found = pods(documents)
    for client in found:
        assert not _reaches(documents, client, STEP, 8080)
        for server in found:
            if server.labels["app.kubernetes.io/component"] == "server":
                wanted = client.labels["app.kubernetes.io/component"] in ("rollout", "explainer")
                assert _reaches(documents, client, server, 8080) is wanted, f"{client.maker} to {server.maker}"


def test_the_rollout_reaches_the_store_and_nobody_the_rollout(name: str) -> None:
    documents = overlay(name)
    (rollout,) = (pod for pod in pods(documents) if pod.maker == "Deployment/rollout")
    for other in pods(documents):
        assert not _reaches(documents, other, rollout, 8080), other.maker
        if other.labels["app.kubernetes.io/component"] == "store":
            assert _reaches(documents, rollout, other, STORES["store"])


def test_an_exporter_reaches_the_store_and_nobody_of_ours_the_exporter(name: str) -> None:
    documents = overlay(name)
    for exporter in (pod for pod in pods(documents) if pod.labels["app.kubernetes.io/component"] == "exporter"):
        for other in pods(documents):
            assert not _reaches(documents, other, exporter, 9090), other.maker
            for port in (6379, 8080, 9000):
                wanted = other.labels["app.kubernetes.io/component"] == "store" and port == 9000
                assert _reaches(documents, exporter, other, port) is wanted, other.maker


def test_stores_begin_no_conversation(name: str) -> None:
    documents = overlay(name)
    for pod in pods(documents):
        if pod.labels["app.kubernetes.io/component"] in STORES:
            out = [rule for policy in _over(documents, pod) for rule in policy["spec"].get("egress", ())]
            assert [port["port"] for rule in out for port in rule["ports"]] == [53, 53], pod.maker


def _reaches(documents: tuple[Document, ...], client: Pod, server: Pod, port: int) -> bool:
    out = _open(documents, client, server, port, "Egress")
    return out and _open(documents, server, client, port, "Ingress")


def _open(documents: tuple[Document, ...], pod: Pod, other: Pod, port: int, way: str) -> bool:
    """Whether the policies over a pod leave a door to or from another pod of the same namespace."""
    side, peers = ("ingress", "from") if way == "Ingress" else ("egress", "to")
    for policy in _over(documents, pod):
        for rule in policy["spec"].get(side, ()) if way in policy["spec"]["policyTypes"] else ():
            ports = [each["port"] for each in rule.get("ports", ())]
            admitted = any(_is_peer(peer, other) for peer in rule.get(peers, ({},)))
            if admitted and (not ports or port in ports):
                return True
    return False


def _is_peer(peer: Document, pod: Pod) -> bool:
    if peer.get("namespaceSelector"):
        return False
    return _selects(peer.get("podSelector", {}), pod.labels)


def _over(documents: tuple[Document, ...], pod: Pod) -> list[Document]:
    return [p for p in of_kind(documents, "NetworkPolicy") if _selects(p["spec"]["podSelector"], pod.labels)]


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] in ("In", "Exists") for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        each["key"] in labels and (each["operator"] == "Exists" or labels[each["key"]] in each["values"])
        for each in expressions
    )
