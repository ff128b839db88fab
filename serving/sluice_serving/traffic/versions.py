"""A version's InferenceService: a copy of the model's own, which runs nothing and is the template of all versions.

What a server is (image, account, resources, probes, volumes) is said once, in the manifests. A version differs in its
name and in SLUICE_VERSION alone. It belongs to the template: who deletes that deletes all versions.
"""

from __future__ import annotations

import copy

from sluice.errors import RequestError
from sluice_serving.cluster import WRITER, Document

GROUP = "/apis/serving.kserve.io/v1beta1"
STOP = "serving.kserve.io/stop"
VERSION = "SLUICE_VERSION"
NAME, LABEL, MANAGER = "app.kubernetes.io/name", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def short(version: str) -> str:
    """A digest in names and labels, which hold no whole one."""
    return version[:12]


def name_of(model: str, version: str) -> str:
    """The name of a version's InferenceService."""
    return f"{model}-{short(version)}"


def service_of(model: str, version: str) -> str:
    """The Service of its predictor, as KServe calls it."""
    return f"{name_of(model, version)}-predictor"


def explainer_of(model: str, version: str) -> str:
    """The Service of its explainer, as KServe calls it."""
    return f"{name_of(model, version)}-explainer"


def selector(model: str, version: str | None = None) -> str:
    """Labels of the versions' objects, or of one version's pods."""
    chosen = f"{NAME}%3D{model}"
    return f"{chosen}%2C{LABEL}%3D{short(version)}" if version else f"{chosen}%2C{MANAGER}%3D{WRITER}"


def version_of(document: Document) -> str:
    """The digest that an InferenceService's server is told."""
    return str(_variable(document["spec"])["value"])


def of_version(template: Document, version: str, name: str) -> Document:
    """The InferenceService `name` of a version.

    Raises:
        RequestError: the template's server does not take SLUICE_VERSION.
    """
    metadata = template["metadata"]
    labels = {**metadata.get("labels", {}), NAME: metadata["name"], LABEL: short(version), MANAGER: WRITER}
    kept = {key: value for key, value in metadata.get("annotations", {}).items() if key not in (STOP, _APPLIED)}
    return {
        "apiVersion": template["apiVersion"],
        "kind": template["kind"],
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": kept,
            "ownerReferences": [owner(template)],
        },
        "spec": _told(template["spec"], version),
    }


def _told(spec: Document, version: str) -> Document:
    """The spec whose server is told this version, its pods labelled so; and what its explainer fetches."""
    spec = copy.deepcopy(spec)
    predictor = spec["predictor"]
    predictor["labels"] = {**predictor.get("labels", {}), LABEL: short(version)}
    _variable(spec)["value"] = version
    for container in spec.get("explainer", {}).get("initContainers", ()):
        for variable in container.get("env", ()):
            if variable["name"] == VERSION:
                variable["value"] = version
    return spec


def owner(template: Document) -> Document:
    """The reference by which an object goes when the template goes."""
    metadata = template["metadata"]
    return {
        "apiVersion": template["apiVersion"],
        "kind": template["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def is_ready(document: Document) -> bool:
    """Whether KServe says that it answers.

    Its observedGeneration is the Deployment's, and no measure of this.
    """
    conditions = document.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _variable(spec: Document) -> Document:
    for container in spec["predictor"].get("containers", ()):
        for variable in container.get("env", ()):
            if variable["name"] == VERSION:
                found: Document = variable
                return found
    raise RequestError(f"the InferenceService's server has no variable {VERSION}", hint="apply the manifests again")
