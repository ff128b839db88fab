"""The explainer's component: both its programs start as they can be started, and it reaches what it asks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sluice.errors import SettingsError
from sluice.settings.explanations import Explanations
from sluice.settings.reader import read_section
from sluice_serving.explained import parser
from sluice_serving.traffic.versions import VERSION, of_version
from tests.manifests.rendered import EXPLAINER, ROOT, Document, Pod, explainer, named, of_kind, overlay, pods
from tests.manifests.test_network import _reaches

DIGEST = "a" * 64


def template() -> Document:
    (found,) = of_kind(overlay(EXPLAINER), "InferenceService")
    return found


def component_of(pod: Pod) -> str:
    return pod.labels["app.kubernetes.io/component"]


def test_what_fetches_is_started_with_options_that_it_has_and_settings_that_are(tmp_path: Path) -> None:
    pod = explainer(template())
    (container,) = pod.spec["initContainers"]
    given = parser().parse_args([word.replace(f"$({VERSION})", "champion") for word in container["args"]])
    assert container["command"] == ["python", "-m", "sluice_serving.explained"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert (mounts[str(given.folder.parent)], mounts[str(given.keys)]) == ("work", "keys")
    path = tmp_path / "explanations.yaml"
    path.write_text(named(overlay(EXPLAINER), "ConfigMap", "sluice-explainer")["data"][given.settings.name])
    assert read_section(path, Explanations).method == "kernel_shap"
    assert set(yaml.safe_load(path.read_text())) <= set(Explanations.model_fields)


def test_the_explainer_understands_what_kserve_adds() -> None:
    (container,) = explainer(template()).spec["containers"]
    folder, *options = container["args"]
    assert container["command"][-2:] == ["-m", "sluice.watch.alibi.explainer"]
    source = "".join((ROOT / f"sluice/watch/alibi/{name}.py").read_text() for name in ("explainer", "listening"))
    for option in (
        *(word.split("=")[0] for word in options if word.startswith("--")),
        "--predictor_host",
        "--http_port",
    ):
        assert f'"{option}"' in source, option
    (fetching,) = explainer(template()).spec["initContainers"]
    assert folder == fetching["args"][0]
    assert options[options.index("--model_name") + 1] == "fraud"


def test_each_version_is_explained_by_what_belongs_to_it() -> None:
    made = of_version({**template(), "metadata": {**template()["metadata"], "uid": "u"}}, DIGEST, "fraud-a")
    (container,) = made["spec"]["explainer"]["initContainers"]
    assert {"name": VERSION, "value": DIGEST} in container["env"]
    assert made["spec"]["explainer"]["labels"]["app.kubernetes.io/name"] != "fraud", "its metrics are no server's"


def test_it_reaches_the_servers_and_only_the_gateway_reaches_it() -> None:
    documents = overlay(EXPLAINER)
    found = {component_of(pod): pod for pod in pods(documents)}
    assert _reaches(documents, found["explainer"], found["server"], 8080)
    for name, pod in found.items():
        assert not _reaches(documents, pod, found["explainer"], 8080), name
    assert not _reaches(documents, found["explainer"], found["online-store"], 6379)


def test_wrong_settings_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "explanations.yaml"
    path.write_text("methods: anchors\n")
    with pytest.raises(SettingsError, match="methods"):
        read_section(path, Explanations)
    path.write_text("method: [\n")
    with pytest.raises(SettingsError, match="is no YAML"):
        read_section(path, Explanations)
