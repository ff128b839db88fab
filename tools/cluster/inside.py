"""Starts every server, from within the cluster's namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import yaml

from tools.cluster import kserve, parts
from tools.cluster.errors import ClusterError
from tools.cluster.images import import_command, write_image
from tools.cluster.kubectl import Kubectl
from tools.cluster.places import MANIFESTS, NODE, Home, home
from tools.cluster.processes import start

DEFINITIONS = [
    "gateway-api.yaml",
    "prometheus-operator.yaml",
    "external-secrets.yaml",
    "knative-serving.yaml",
    "spark-operator.yaml",
]
"""Other projects' definitions: their objects can be applied, no controller acts on them."""


def main() -> None:
    """Bring the cluster up; says which server is ready when."""
    os.umask(0o022)
    place = home()
    start([*parts.storage(place), *parts.api_server(place)], place)
    _own_images(place)
    start([*parts.control_plane(place), *parts.node(place)], place)
    kubectl = Kubectl(place.kubeconfig())
    kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=60s")
    kubectl.apply(*kserve.definitions(), *_metrics(), options=["--validate=false"])
    for name in DEFINITIONS:
        kubectl("apply", "--server-side", "--validate=false", f"--filename={MANIFESTS / name}")
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kserve.place_certificate(place)
    start(parts.additions(place), place)
    kubectl.apply(*kserve.webhooks(place))


def _own_images(place: Home) -> None:
    for name, program in {"localhost/pause:1": "pause", "docker.io/sluice/echo:1": "echo"}.items():
        archive = write_image(place.data / "images" / f"{program}.tar", name, program)
        subprocess.run(import_command(archive), check=True, stdout=subprocess.DEVNULL)


def _metrics() -> list[dict[str, Any]]:
    """Metrics-server's own roles and its place in the API, which leads out of the cluster to where it runs."""
    text = (MANIFESTS / "metrics-server.yaml").read_text()
    found: list[dict[str, Any]] = [each for each in yaml.safe_load_all(text) if each]
    for each in found:
        if each["kind"] == "APIService":
            each["spec"]["service"]["port"] = parts.METRICS_PORT
    outside = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics-server", "namespace": "kube-system"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": parts.METRICS_PORT}]},
    }
    return [*found, outside]


if __name__ == "__main__":
    try:
        main()
    except (ClusterError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
