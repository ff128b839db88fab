"""KServe's own release manifests, made fit for a controller that runs beside the cluster."""

from __future__ import annotations

import base64
import json
import shutil
from functools import cache
from typing import Any

import yaml

from tools.cluster.parts import KSERVE_WEBHOOK
from tools.cluster.places import MANIFESTS, Home

KINDS = {
    "CustomResourceDefinition",
    "ConfigMap",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
}
WEBHOOKS = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
LANGUAGE_MODELS = "llminferenceservice"
"""A controller of its own, whose definitions are two thirds of the manifests."""


def definitions() -> list[dict[str, Any]]:
    """Everything that has to be there before the controller starts."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kserve"}}
    found = [each for each in _release() if each["kind"] in KINDS]
    for each in found:
        if each["metadata"]["name"] == "inferenceservice-config":
            _configure(each["data"])
    return [namespace, *found]


def webhooks(home: Home) -> list[dict[str, Any]]:
    """The admission webhooks, asked at the controller's own address instead of through a Service."""
    found = [each for each in _release() if each["kind"] in WEBHOOKS]
    authority = base64.b64encode((home.keys / "ca.crt").read_bytes()).decode()
    for each in found:
        for hook in each["webhooks"]:
            path = hook["clientConfig"].pop("service")["path"]
            hook["clientConfig"] = {"url": f"{KSERVE_WEBHOOK}{path}", "caBundle": authority}
    return found


def place_certificate(home: Home) -> None:
    """Put the webhooks' certificate where the controller looks for it."""
    folder = home.data / "kserve/k8s-webhook-server/serving-certs"
    folder.mkdir(parents=True)
    shutil.copy(home.keys / "webhooks.crt", folder / "tls.crt")
    shutil.copy(home.keys / "webhooks.key", folder / "tls.key")


def _configure(data: dict[str, str]) -> None:
    """Plain Deployments unless an object says otherwise, and routes through the Gateway API."""
    deploy, ingress = json.loads(data["deploy"]), json.loads(data["ingress"])
    deploy["defaultDeploymentMode"] = "Standard"
    ingress |= {"enableGatewayApi": True, "kserveIngressGateway": "kserve/kserve-ingress-gateway"}
    data |= {"deploy": json.dumps(deploy), "ingress": json.dumps(ingress)}


@cache
def _release() -> tuple[dict[str, Any], ...]:
    documents = (MANIFESTS / "kserve.yaml").read_text().split("\n---\n")
    ours = [each for each in documents if LANGUAGE_MODELS not in each.partition("\nspec:")[0].lower()]
    return tuple(loaded for each in ours if (loaded := yaml.load(each, yaml.CSafeLoader)))
