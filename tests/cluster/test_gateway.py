"""A route's weights are the traffic, through a real Gateway."""

from __future__ import annotations

import urllib.request
from collections import Counter
from typing import Any

import pytest
from conftest import Apply, Reach, WaitFor
from objects import Object, is_ready, pod, service
from test_kserve import inference_service

from tools.cluster import gateway
from tools.cluster.cluster import Cluster
from tools.cluster.kubectl import Kubectl


@pytest.fixture(scope="module", autouse=True)
def envoy_gateway(cluster: Cluster) -> None:
    """Envoy Gateway with its class `envoy`."""
    gateway.install(cluster)


def way_in(namespace: str) -> Object:
    """A Gateway for the routes of its own namespace."""
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "way-in", "namespace": namespace},
        "spec": {"gatewayClassName": "envoy", "listeners": [listener]},
    }


def route(namespace: str, weights: dict[str, int]) -> Object:
    """A route over Services, as many of the requests each as its weight says."""
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "split", "namespace": namespace},
        "spec": {"parentRefs": [{"name": "way-in"}], "rules": [{"backendRefs": backends}]},
    }


def test_weights_are_the_traffic(
    cluster: Cluster, kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor, reach: Reach
) -> None:
    both = ["old", "new"]
    apply(*(pod(namespace, name) for name in both), *(service(namespace, name) for name in both))
    apply(way_in(namespace), route(namespace, {"old": 90, "new": 10}))
    here = kubectl.in_namespace(namespace)
    wait_for("both pods to be ready", lambda: all(is_ready(here.get(f"pod/{name}")) for name in both))
    wait_for("the Gateway to be programmed", lambda: _is_programmed(here))
    url = reach(gateway.service_of(cluster, namespace, "way-in"), 80)
    wait_for("answers of both", lambda: set(_answers(url, 20)) == {"old", "new"})
    shares = _answers(url, 300)
    assert 0 < shares["new"] < shares["old"]
    apply(route(namespace, {"old": 0, "new": 100}))
    wait_for("the new one to have all the traffic", lambda: _answers(url, 20)["new"] == 20)


def test_an_inference_service_with_a_route_of_kserves_own_becomes_ready(
    kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor
) -> None:
    wanted: dict[str, Any] = inference_service(namespace, "routed")
    del wanted["metadata"]["labels"]
    apply(wanted)
    here = kubectl.in_namespace(namespace)
    wait_for("the InferenceService to be ready", lambda: is_ready(here.get("inferenceservice/routed")), within=90)
    assert here.get("httproute/routed")["status"]["parents"]


def _is_programmed(kubectl: Kubectl) -> bool:
    conditions = kubectl.get("gateway/way-in").get("status", {}).get("conditions", [])
    return any(each["type"] == "Programmed" and each["status"] == "True" for each in conditions)


def _answers(url: str, count: int) -> Counter[str]:
    """How often each pod answered; what went wrong counts under its status."""
    seen: Counter[str] = Counter()
    for _ in range(count):
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                seen[response.read().decode().strip()] += 1
        except OSError as error:
            seen[str(error)] += 1
    return seen
