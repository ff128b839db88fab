"""The payload ledger's component: the receiver starts as it can be started, and only the servers' events reach it."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from sluice.payloads.names import NAME
from sluice.settings.payloads import Payloads
from sluice_serving.payloads.__main__ import _parser, read_settings
from tests.manifests.rendered import LEDGER, MANIFESTS, Document, Pod, named, overlay, pods, render
from tests.manifests.test_network import _reaches


def receiver() -> Pod:
    return next(pod for pod in pods(overlay(LEDGER)) if pod.maker == "StatefulSet/payload-ledger")


def test_the_receiver_is_started_with_options_that_it_has_and_settings_that_are(tmp_path: Path) -> None:
    container = receiver().spec["containers"][0]
    given = _parser().parse_args(container["args"])
    assert container["command"] == ["python", "-m", "sluice_serving.payloads"] and given.port == 8080
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts[str(given.spool.parent)] == "spool", "what was acknowledged lies on the volume that is kept"
    assert mounts[str(given.callers.parent)] == "callers" and mounts[str(given.settings.parent)] == "settings"
    path = tmp_path / "payloads.yaml"
    path.write_text(named(overlay(LEDGER), "ConfigMap", "sluice-payload-ledger")["data"][given.settings.name])
    settings = read_settings(path)
    claim = named(overlay(LEDGER), "StatefulSet", "payload-ledger")["spec"]["volumeClaimTemplates"][0]
    room = claim["spec"]["resources"]["requests"]["storage"]
    assert settings.max_spool < int(room.removesuffix("Gi")) * 2**30
    assert set(yaml.safe_load(path.read_text())) <= set(Payloads.model_fields)


def test_the_logger_sends_to_the_service_under_the_models_name() -> None:
    server = named(overlay(LEDGER), "InferenceService", "fraud")["spec"]["predictor"]
    address = urlsplit(server["logger"]["url"])
    service = named(overlay(LEDGER), "Service", str(address.hostname))
    assert server["logger"]["mode"] == "all" and service["spec"]["ports"][0]["port"] == (address.port or 80)
    model = address.path.removeprefix("/models/")
    assert NAME.fullmatch(model) and f"--model={model}" in server["containers"][0]["args"]
    assert address.username and address.password == "TOKEN", "no token lies in the tree"


def test_a_rollout_that_compares_labels_is_given_the_right_and_the_memory(tmp_path: Path) -> None:
    copy = tmp_path / "manifests"
    shutil.copytree(MANIFESTS, copy)
    path = copy / "overlays" / "labels" / "kustomization.yaml"
    path.parent.mkdir()
    wanted = {"resources": ["../local"], "components": ["../../components/rollout-labels"]}
    path.write_text(yaml.safe_dump(wanted))
    plain, documents = overlay("local"), render(path.parent)
    job = named(documents, "Job", "store-setup")["spec"]["template"]["spec"]
    assert job["containers"][0]["command"] == ["sluice", "init", "--roles", "/etc/sluice/roles", "--rollout-labels"]
    assert _memory(documents) == "2Gi" and _memory(plain) == "768Mi"


def _memory(documents: tuple[Document, ...]) -> str:
    pod = named(documents, "Deployment", "rollout")["spec"]["template"]["spec"]
    return str(pod["containers"][0]["resources"]["limits"]["memory"])


@pytest.mark.parametrize("component", ["pipeline", "online-store", "store"])
def test_only_servers_reach_the_receiver(component: str) -> None:
    documents = overlay(LEDGER)
    (server,) = (pod for pod in pods(documents) if pod.labels["app.kubernetes.io/component"] == "server")
    assert _reaches(documents, server, receiver(), 8080)
    labels = {"app.kubernetes.io/part-of": "sluice", "app.kubernetes.io/component": component}
    assert not _reaches(documents, Pod("other", labels, {"containers": []}, "sluice"), receiver(), 8080)
    assert not _reaches(documents, server, receiver(), 9081)
