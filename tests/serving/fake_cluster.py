"""An API server in memory, with a KServe that makes things ready and a gateway that takes routes, as the tests tell."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from rendered_server import template

Document = dict[str, Any]
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@dataclass
class FakeCluster:
    """What `sluice_serving.cluster.Cluster` can do. `never` holds versions' short digests that do not get ready."""

    inside: bool = True
    namespace: str = "sluice"
    never: set[str] = field(default_factory=set)
    refuses_routes: bool = False
    pods: list[Document] = field(default_factory=list)
    objects: dict[str, Document] = field(default_factory=dict)
    done: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = template("local")
        made["metadata"] |= {"namespace": "sluice", "uid": "u-1"}
        self.objects[f"{INFERENCESERVICES}/fraud"] = made

    def get(self, path: str) -> Document | None:
        """A copy of an object, with the status that its controller would have written by now."""
        found = self.objects.get(path)
        if found is None:
            return None
        found = copy.deepcopy(found)
        name = found["metadata"]["name"]
        if (
            found["kind"] == "InferenceService"
            and name != "fraud"
            and not any(each in str(found) for each in self.never)
        ):
            revision = f"{name}-{found['metadata']['generation']}"
            components = {"predictor": {"latestCreatedRevision": revision, "latestReadyRevision": revision}}
            found["status"] = {**READY, "components": components, "url": f"http://{name}.example"}
        if found["kind"] == "HTTPRoute":
            kinds = ("Accepted", "ResolvedRefs")
            state = {"status": "False" if self.refuses_routes else "True", "message": "no such Gateway"}
            generation = found["metadata"]["generation"]
            conditions = [{"type": kind, "observedGeneration": generation, **state} for kind in kinds]
            found["status"] = {"parents": [{"conditions": conditions}]}
        return found

    def items(self, path: str) -> list[Document]:
        """Pods as told, or the versions' objects."""
        if path.startswith("/api/v1/"):
            return [pod for pod in self.pods if path.endswith(str(pod["version"]))]
        return [
            self.get(each) or {}
            for each in self.objects
            if "app.kubernetes.io/managed-by" in str(self.objects[each]["metadata"]["labels"])
            and each.startswith(INFERENCESERVICES)
        ]

    def apply(self, path: str, document: Document) -> Document:
        """The object as given; a new generation where its spec is another."""
        before = self.objects.get(path)
        made = copy.deepcopy(document)
        changed = before is None or before["spec"] != made["spec"]
        made["metadata"]["generation"] = (before["metadata"]["generation"] if before else 0) + changed
        self.objects[path] = made
        if changed:
            self.done.append(("apply", path.rsplit("/", 2)[-2] + "/" + made["metadata"]["name"]))
        return self.get(path) or {}

    def delete(self, path: str) -> None:
        """Gone at once."""
        if self.objects.pop(path, None) is not None:
            self.done.append(("delete", path.rsplit("/", 2)[-2] + "/" + path.rsplit("/", 1)[-1]))

    def text(self, _path: str) -> str | None:
        """What a pod's metrics say through the proxy."""
        return None


INFERENCESERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/sluice/inferenceservices"
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/sluice/httproutes/fraud"
