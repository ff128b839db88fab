"""Under load the real HorizontalPodAutoscaler adds a replica, from what metrics-server measured."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conftest import Apply, Reach, WaitFor
from objects import deployment, service

from tools.cluster.kubectl import Kubectl

REQUEST = {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}


def autoscaler(namespace: str, name: str) -> dict[str, Any]:
    """One to two replicas, at half of the requested processor time."""
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": metric}],
        },
    }


def test_load_adds_a_replica(kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor, reach: Reach) -> None:
    apply(deployment(namespace, "echo", resources=REQUEST), service(namespace, "echo"), autoscaler(namespace, "echo"))
    here = kubectl.in_namespace(namespace)
    wait_for("one ready replica", lambda: _ready_replicas(here) == 1)
    url = reach(here.get("service/echo")["spec"]["clusterIP"], 80)
    with _load(f"{url}/burn?ms=100"):
        wait_for("a second ready replica", lambda: _ready_replicas(here) == 2, within=180)
    said = here.get("hpa/echo")["status"]["conditions"]
    assert any(each["type"] == "ScalingActive" and each["status"] == "True" for each in said)


def _ready_replicas(kubectl: Kubectl) -> int:
    return int(kubectl.get("deployment/echo")["status"].get("readyReplicas", 0))


@contextmanager
def _load(url: str) -> Iterator[None]:
    """One request after the other from two clients."""
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            try:
                with urllib.request.urlopen(url, timeout=10):
                    pass
            except OSError:
                over.wait(0.1)

    clients = [threading.Thread(target=client) for _ in range(2)]
    for each in clients:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in clients:
            each.join()
