"""The cluster: what Sluice's manifests and pipelines need of it."""

from __future__ import annotations

from collections.abc import Callable

from sluice.settings import UseCase
from sluice_cli.doctor.finding import Findings
from sluice_cli.doctor.kserve import look_at_gateway, look_at_kserve
from sluice_cli.doctor.namespace import look_at_namespace
from sluice_cli.doctor.nodes import look_at_nodes
from sluice_serving.cluster import Cluster, ForbiddenError

OLDEST = (1, 30)
"""Kubernetes of the table in docs/manifests.md."""
NEEDED_KINDS = {
    "inferenceservices.serving.kserve.io": "install KServe",
    "gateways.gateway.networking.k8s.io": "install the Gateway API's CRDs, or take the overlay `knative`",
    "httproutes.gateway.networking.k8s.io": "install the Gateway API's CRDs, or take the overlay `knative`",
}
USEFUL_KINDS = {
    "workflows.argoproj.io": "install Kubeflow Pipelines: without it runs stay on your machine",
    "podmonitors.monitoring.coreos.com": "install the Prometheus operator, or leave out the component `monitoring`",
    "prometheusrules.monitoring.coreos.com": "install the Prometheus operator, or leave out the component `monitoring`",
}
Look = Callable[[Findings, Cluster, UseCase, str], None]


def look_at_cluster(findings: Findings, use_case: UseCase, namespace: str, context: str | None = None) -> None:
    """Everything, as far as this account may look."""
    with findings.told("cluster"):
        cluster = Cluster.open(context)
        _version(findings, cluster)
        looks: tuple[tuple[str, Look], ...] = (
            ("kinds", _kinds),
            ("KServe", look_at_kserve),
            ("gateway", look_at_gateway),
            ("GPU pool", look_at_nodes),
            ("namespace", look_at_namespace),
        )
        for what, look in looks:
            try:
                look(findings, cluster, use_case, namespace)
            except ForbiddenError as error:
                findings.warn(what, f"may not look: {error.message}", error.hint)


def _version(findings: Findings, cluster: Cluster) -> None:
    found = cluster.get("/version") or {}
    numbers = tuple(int("".join(filter(str.isdigit, str(found.get(part, "0"))))) for part in ("major", "minor"))
    if numbers < OLDEST:
        advice = f"upgrade to {OLDEST[0]}.{OLDEST[1]} or newer"
        findings.miss("Kubernetes", str(found.get("gitVersion", "unknown")), advice)
    else:
        findings.ok("Kubernetes", str(found.get("gitVersion")))


def _kinds(findings: Findings, cluster: Cluster, _use_case: UseCase, _namespace: str) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    there = {str(item["metadata"]["name"]) for item in cluster.items(path)}
    for kinds, tell in ((NEEDED_KINDS, findings.miss), (USEFUL_KINDS, findings.warn)):
        for name, advice in kinds.items():
            if name in there:
                findings.ok(name, "is there")
            else:
                tell(name, "is not there", advice)
