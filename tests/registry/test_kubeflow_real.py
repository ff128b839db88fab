"""Versions in Kubeflow's real model registry, which speaks an older version of its API than its newest client."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from sluice.registry import Registry, Version
from sluice.registry.kubeflow import KubeflowIndex, version_uri


def listed(address: str, what: str) -> list[dict[str, Any]]:
    """What the server itself says it holds."""
    with urllib.request.urlopen(f"{address}/api/model_registry/v1alpha3/{what}", timeout=10) as answer:
        return list(json.loads(answer.read())["items"])


@pytest.mark.model_registry
def test_versions_are_found_there_with_their_figures(
    kubeflow_registry: str, registry: Registry, add: Callable[[Registry, str], Version]
) -> None:
    index = KubeflowIndex(kubeflow_registry)
    first, second = add(registry, "a"), add(registry, "b")
    for version, figure in ((first, 0.7), (first, 0.7), (second, 0.8)):
        uri = version_uri(registry.store, version)
        index.register(version, uri=uri, metrics={"average_precision": figure, "checks": 14}, author="gate of run 1")

    assert [model["name"] for model in listed(kubeflow_registry, "registered_models")] == ["fraud"]
    versions = listed(kubeflow_registry, "model_versions")
    assert [version["name"] for version in versions] == [first.digest, second.digest]
    assert {version["author"] for version in versions} == {"gate of run 1"}
    properties = versions[1]["customProperties"]
    assert properties["average_precision"]["double_value"] == 0.8
    assert properties["sluice_version"]["string_value"] == second.digest
    artifacts = listed(kubeflow_registry, "model_artifacts")
    assert [artifact["uri"] for artifact in artifacts] == [version_uri(registry.store, v) for v in (first, second)]
    assert {artifact["modelFormatName"] for artifact in artifacts} == {"onnx"}
