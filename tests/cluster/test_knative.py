"""What the rollout writes in Knative mode, taken by KServe's definitions, webhooks and controller.

There is no Knative here: nothing of it gets ready, and no traffic moves.
"""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Apply, WaitFor

from sluice_serving.traffic.knative import live
from tests.manifests.rendered import named, overlay
from tools.cluster.kubectl import Kubectl

OLD, NEW = "a" * 64, "b" * 64
SERVING = "knative-serving"


@pytest.fixture(autouse=True)
def knatives_settings(apply: Apply) -> None:
    """KServe asks Knative's own settings whether a service may start at no replicas."""
    settings = {"name": "config-autoscaler", "namespace": SERVING}
    apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVING}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": settings, "data": {}},
    )


@pytest.fixture
def template(kubectl: Kubectl, namespace: str, apply: Apply) -> Any:
    """The overlay's InferenceService in the test's namespace, as the API server has it."""
    wanted = {**named(overlay("knative"), "InferenceService", "fraud")}
    wanted["metadata"] = {**wanted["metadata"], "namespace": namespace}
    apply(wanted)
    return kubectl.in_namespace(namespace).get("inferenceservice/fraud")


def test_kserve_makes_a_knative_service_of_what_is_live_and_none_of_the_template(
    kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor, template: Any
) -> None:
    here = kubectl.in_namespace(namespace)
    apply(live(template, OLD))
    made = wait_for("KServe's Knative Service", lambda: here.get("services.serving.knative.dev"))
    assert [one["metadata"]["name"] for one in made] == ["fraud-live-predictor"]
    assert _version(made[0]) == OLD
    apply(live(template, NEW, 10, OLD))
    wait_for("the newer revision", lambda: _version(here.get("services.serving.knative.dev")[0]) == NEW)
    assert here.get("inferenceservice/fraud-live")["spec"]["predictor"]["canaryTrafficPercent"] == 10


def _version(service: Any) -> str:
    variables = service["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(str(one["value"]) for one in variables if one["name"] == "SLUICE_VERSION")
