"""Small Kubernetes objects that the tests put together."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

ECHO = "docker.io/sluice/echo:1"
"""The image of one small server, `tools/servers/echo`, that is in every test cluster."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the restricted Pod Security Standard asks of a container."""


def container(name: str = "echo", **more: Any) -> Object:
    """A container of the echo server that the restricted standard admits."""
    return {
        "name": name,
        "image": ECHO,
        "imagePullPolicy": "Never",
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        **more,
    }


def pod(namespace: str, name: str, *, resources: Object | None = None, **spec: Any) -> Object:
    """A pod of one such container."""
    inside = container(resources=resources) if resources else container()
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [inside], "terminationGracePeriodSeconds": 1, **spec},
    }


def deployment(namespace: str, name: str, *, resources: Object) -> Object:
    """A Deployment of one such pod."""
    template = pod(namespace, name, resources=resources)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": template["spec"]},
        },
    }


def service(namespace: str, name: str) -> Object:
    """A Service before the pods labelled `app: NAME`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def is_ready(found: Object) -> bool:
    """Whether the condition Ready of an object is true."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
