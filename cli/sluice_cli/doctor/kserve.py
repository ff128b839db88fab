"""KServe's controller and its way to deploy, and the gateway that carries the traffic."""

from __future__ import annotations

import json
from typing import Any

from sluice.settings import UseCase
from sluice_cli.doctor.finding import Findings
from sluice_serving.cluster import Cluster

OLDEST = (0, 16)
"""The oldest KServe that Sluice's InferenceServices were seen to work with."""
PLACES = ("kserve", "kubeflow")
NAME = "kserve-controller-manager"


def look_at_kserve(findings: Findings, cluster: Cluster, _use_case: UseCase, _namespace: str) -> None:
    """Version and default mode. Our InferenceServices name their own mode, so that the default is only told."""
    for place in PLACES:
        deployment = cluster.get(f"/apis/apps/v1/namespaces/{place}/deployments/{NAME}")
        if deployment is not None:
            _controller(findings, deployment)
            config = cluster.get(f"/api/v1/namespaces/{place}/configmaps/inferenceservice-config")
            mode = json.loads((config or {}).get("data", {}).get("deploy", "{}")).get("defaultDeploymentMode")
            findings.ok("KServe's default mode", f"{mode or 'not set'}; Sluice's InferenceServices name theirs")
            return
    findings.warn(
        "KServe's controller", f"no {NAME} in {' or '.join(PLACES)}", "install KServe, unless it runs elsewhere"
    )


def _controller(findings: Findings, deployment: dict[str, Any]) -> None:
    images = [container["image"] for container in deployment["spec"]["template"]["spec"]["containers"]]
    tag = next((image.rsplit(":", 1)[-1] for image in images if "kserve" in image), "unknown")
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    if not ready:
        findings.miss("KServe's controller", f"{tag}, not ready", f"kubectl describe deployment {NAME}")
    elif (numbers := _numbers(tag)) and numbers < OLDEST:
        findings.miss("KServe's controller", tag, f"upgrade to v{OLDEST[0]}.{OLDEST[1]} or newer")
    else:
        findings.ok("KServe's controller", tag)


def _numbers(tag: str) -> tuple[int, ...]:
    parts = tag.lstrip("v").split("-")[0].split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def look_at_gateway(findings: Findings, cluster: Cluster, _use_case: UseCase, namespace: str) -> None:
    """A gateway in our namespace that its controller has programmed, or a class that could make one."""
    gateways = cluster.items(f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways")
    if not gateways:
        found = cluster.items("/apis/gateway.networking.k8s.io/v1/gatewayclasses")
        classes = [each["metadata"]["name"] for each in found]
        if classes:
            advice = f"apply an overlay, with one of the classes {', '.join(classes)}"
            findings.warn("gateway", f"none in {namespace}", advice)
        else:
            findings.miss("gateway", "no class of gateways", "install a Gateway API controller, such as Envoy Gateway")
    for gateway in gateways:
        name = gateway["metadata"]["name"]
        conditions = {c["type"]: c for c in gateway.get("status", {}).get("conditions", [])}
        programmed = conditions.get("Programmed", {})
        if programmed.get("status") == "True":
            findings.ok(f"gateway {name}", f"programmed, class {gateway['spec']['gatewayClassName']}")
        else:
            said = programmed.get("message") or "no controller has taken it"
            findings.miss(f"gateway {name}", said, f"kubectl -n {namespace} describe gateway {name}")
