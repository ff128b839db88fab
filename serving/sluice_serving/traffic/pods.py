"""The pods of a version: what their metrics say, and why they do not start."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass

from sluice_serving.cluster import Cluster, Document
from sluice_serving.traffic.versions import selector

_CONTAINER = "kserve-container"
_QUICK = 5.0


@dataclass(frozen=True)
class Trouble:
    """Why a pod is not ready, in words; the exit code where its server ended."""

    said: str
    exit_code: int | None = None


class Pods:
    """Pods of a model's versions in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str, model: str) -> None:
        self._cluster, self._model = cluster, model
        self._path = f"/api/v1/namespaces/{namespace}/pods"

    def metrics(self, version: str) -> dict[str, str]:
        """What `/metrics` of each running pod says, by pod; those that do not answer are left out.

        From inside the cluster they are asked directly: the API server's proxy would be a right to reach every pod.
        """
        found = {}
        for pod in self._pods(version):
            text = self._text(pod) if pod["status"].get("phase") == "Running" else None
            if text is not None:
                found[str(pod["metadata"]["uid"])] = text
        return found

    def trouble(self, version: str) -> Trouble | None:
        """What keeps a pod of the version from being ready; None where nothing is known."""
        for pod in self._pods(version):
            for status in pod["status"].get("containerStatuses", ()):
                if (found := _trouble(status)) is not None:
                    return found
            for condition in pod["status"].get("conditions", ()):
                if condition["type"] == "PodScheduled" and condition["status"] == "False":
                    return Trouble(str(condition.get("message", "no node has room for it")))
        return None

    def _pods(self, version: str) -> list[Document]:
        return self._cluster.items(f"{self._path}?labelSelector={selector(self._model, version)}")

    def _text(self, pod: Document) -> str | None:
        port = _port(pod)
        if not self._cluster.inside:
            return self._cluster.text(f"{self._path}/{pod['metadata']['name']}:{port}/proxy/metrics")
        return read_text(f"http://{pod['status']['podIP']}:{port}/metrics")


def read_text(address: str) -> str | None:
    """What a server answers; None where it does not: what it had counted is gone with it."""
    try:
        with urllib.request.urlopen(address, timeout=_QUICK) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return None


def _port(pod: Document) -> int:
    containers = {each["name"]: each for each in pod["spec"]["containers"]}
    server = containers.get(_CONTAINER) or pod["spec"]["containers"][0]
    return int(server["ports"][0]["containerPort"])


def _trouble(status: Document) -> Trouble | None:
    """An end with a code says most, then what the kubelet waits for."""
    for state in (status.get("state", {}), status.get("lastState", {})):
        ended = state.get("terminated")
        if ended and ended.get("exitCode"):
            said = " ".join(str(ended.get("message") or ended.get("reason", "")).split())
            return Trouble(f"it ended with exit code {ended['exitCode']}: {said[-500:]}", int(ended["exitCode"]))
    waiting = status.get("state", {}).get("waiting")
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        return Trouble(f"{waiting['reason']}: {waiting.get('message', '')}"[:500])
    return None
