"""The manifests as `kubectl kustomize` renders them, and the pods in them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import servers
import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
PROGRAMS = ROOT / "tools" / "servers" / "bin"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
LEDGER = "../examples/payload-ledger"
"""`standard` with the payload ledger, checked as an overlay is."""
EXPLAINER = "../examples/explainer"
"""`standard` with an explainer, likewise."""
DRIFT = "../examples/drift-server"
"""`standard` with the payload ledger and a drift server behind it, likewise."""
Document = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """The pods that an object makes: who makes them, what they are, and their labels."""

    maker: str
    labels: dict[str, str]
    spec: Document
    namespace: str

    @property
    def containers(self) -> list[Document]:
        """All containers, those that run first too."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def renderer() -> list[str]:
    """`kubectl kustomize`, or the kustomize that is built for the tests; without either the test is skipped, loudly."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("go"):
        subprocess.run([PROGRAMS.parent / "build", "kustomize"], check=True)
    if (PROGRAMS / "kustomize").exists():
        return [str(PROGRAMS / "kustomize"), "build"]
    servers.missing["kubectl"] = "install kubectl, or Go from https://go.dev/dl"
    if os.environ.get("SLUICE_TESTS_COMPLETE") == "1":
        pytest.fail("kubectl is not here and nothing may be skipped", pytrace=False)
    pytest.skip("kubectl is not here")


@cache
def rendered(folder: str) -> tuple[Document, ...]:
    """All objects of a folder below `manifests/` with a kustomization."""
    return render(MANIFESTS / folder)


def render(folder: Path) -> tuple[Document, ...]:
    """All objects of any folder with a kustomization."""
    command = [*renderer(), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def turned_on(folder: Path, name: str, *components: str) -> Path:
    """A copy of the tree in which an overlay's commented components are not comments any more: the overlay's folder."""
    copy = folder / "manifests"
    shutil.copytree(MANIFESTS, copy)
    path = copy / "overlays" / name / "kustomization.yaml"
    text = path.read_text()
    for component in components:
        line = f"- ../../components/{component}\n"
        assert f"  # {line}" in text, f"{name} does not offer {component}"
        text = text.replace(f"  # {line}", f"  {line}")
    path.write_text(text)
    return path.parent


def overlay(name: str) -> tuple[Document, ...]:
    """All objects of an overlay."""
    return rendered(f"overlays/{name}")


def of_kind(documents: tuple[Document, ...], *kinds: str) -> list[Document]:
    """The objects of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def named(documents: tuple[Document, ...], kind: str, name: str) -> Document:
    """The one object of this kind and name."""
    found = [document for document in of_kind(documents, kind) if document["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} {kind} named {name}"
    return found[0]


def pods(documents: tuple[Document, ...]) -> list[Pod]:
    """What makes pods: workloads, jobs, and the predictors of inference services as KServe will make them."""
    made = [pod for document in documents if (pod := _pod(document)) is not None]
    return [*made, *(explainer(each) for each in of_kind(documents, "InferenceService") if "explainer" in each["spec"])]


def explainer(document: Document) -> Pod:
    """The pod of an InferenceService's explainer: its labels come before those of the service."""
    spec = document["spec"]["explainer"]
    labels = {**document["metadata"]["labels"], **spec["labels"]}
    labels["serving.kserve.io/inferenceservice"] = document["metadata"]["name"]
    return Pod(identity(document), labels, spec, document["metadata"].get("namespace", ""))


def identity(document: Document) -> str:
    """Kind and name, for messages."""
    return f"{document['kind']}/{document['metadata']['name']}"


def _pod(document: Document) -> Pod | None:
    namespace = document["metadata"].get("namespace", "")
    if document["kind"] == "InferenceService":
        predictor = document["spec"]["predictor"]
        # KServe adds its own label and hands the service's labels on.
        labels = {**document["metadata"]["labels"], **predictor["labels"]}
        labels["serving.kserve.io/inferenceservice"] = document["metadata"]["name"]
        return Pod(identity(document), labels, predictor, namespace)
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if document["kind"] not in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        return None
    template = spec["template"]
    return Pod(identity(document), template["metadata"]["labels"], template["spec"], namespace)
