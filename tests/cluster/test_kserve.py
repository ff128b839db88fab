"""The real KServe controller acts on what is applied."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from conftest import Apply, Reach, WaitFor
from objects import container, is_ready

from tools.cluster.kubectl import Kubectl, RefusedError


def inference_service(namespace: str, name: str, **predictor: Any) -> dict[str, Any]:
    """An InferenceService of one custom container, on plain Deployments, without a route of KServe's own."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": {"networking.kserve.io/visibility": "cluster-local"},
        "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
    }
    spec = {"predictor": {"containers": [container("kserve-container")], **predictor}}
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}


def test_a_custom_predictor_becomes_ready_and_answers(
    kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor, reach: Reach
) -> None:
    apply(inference_service(namespace, "tiny"))
    here = kubectl.in_namespace(namespace)
    wait_for("the InferenceService to be ready", lambda: is_ready(here.get("inferenceservice/tiny")))
    address = here.get("pods")[0]["status"]["podIP"]
    request = urllib.request.Request(f"{reach(address, 8080)}/v1/models/tiny:predict", data=b'{"instances": [[1]]}')
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.read() == b'{"instances": [[1]]}'


def test_more_replicas_at_least_than_at_most_are_refused(namespace: str, apply: Apply) -> None:
    with pytest.raises(RefusedError, match=r"inferenceservice.*denied the request.*[Mm]inReplicas"):
        apply(inference_service(namespace, "wrong", minReplicas=3, maxReplicas=2))


def test_a_name_that_is_none_is_refused(namespace: str, apply: Apply) -> None:
    with pytest.raises(RefusedError, match="denied the request"):
        apply(inference_service(namespace, "1wrong"))
