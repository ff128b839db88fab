"""The drift server's component: its programs start as they can be started, and only the receiver's events reach it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sluice.settings.payloads import Payloads
from sluice.settings.reader import read_section
from sluice.settings.watch import Watch
from sluice_serving.environment import FORWARD_TOKEN
from sluice_serving.payloads.__main__ import _parser
from sluice_serving.watched import parser
from tests.manifests.rendered import DRIFT, MANIFESTS, ROOT, Pod, named, overlay, pods
from tests.manifests.test_network import _reaches


def pod(component: str) -> Pod:
    (found,) = (each for each in pods(overlay(DRIFT)) if each.labels["app.kubernetes.io/component"] == component)
    return found


def test_what_fetches_is_started_with_options_that_it_has_and_settings_that_are(tmp_path: Path) -> None:
    (container,) = pod("drift-server").spec["initContainers"]
    given = parser().parse_args(container["args"])
    assert (container["command"], given.version) == (["python", "-m", "sluice_serving.watched"], "champion")
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert (mounts[str(given.folder.parent)], mounts[str(given.keys)]) == ("work", "keys")
    texts = named(overlay(DRIFT), "ConfigMap", "sluice-drift-server")["data"]
    for path, section in ((given.watch, Watch), (given.payloads, Payloads)):
        assert mounts[str(path.parent)] == "settings"
        (tmp_path / path.name).write_text(texts[path.name])
        assert read_section(tmp_path / path.name, section) is not None
    assert set(texts) == {given.watch.name, given.payloads.name}


def test_the_server_is_started_with_options_that_it_has() -> None:
    (container,) = pod("drift-server").spec["containers"]
    folder, *options = container["args"]
    assert container["command"][-2:] == ["-m", "sluice.watch.alibi.drift_server"]
    source = "".join((ROOT / f"sluice/watch/alibi/{name}.py").read_text() for name in ("drift_server", "listening"))
    assert not [option for option in options if f'"{option.split("=")[0]}"' not in source]
    assert folder == pod("drift-server").spec["initContainers"][0]["args"][0]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    (callers,) = (option.split("=")[1] for option in options if option.startswith("--callers"))
    assert mounts[str(Path(callers).parent)] == "callers"


def test_the_receiver_hands_on_to_its_service_with_a_token_from_a_secret() -> None:
    (container,) = pod("payload-ledger").spec["containers"]
    address = urlsplit(_parser().parse_args(container["args"]).forward)
    service = named(overlay(DRIFT), "Service", str(address.hostname))
    assert service["spec"]["ports"][0]["port"] == (address.port or 80)
    assert service["spec"]["selector"].items() <= pod("drift-server").labels.items()
    assert {"secretRef": {"name": "sluice-drift-forward"}} in container["envFrom"]
    assert FORWARD_TOKEN in (MANIFESTS / "examples/drift-server/kustomization.yaml").read_text()


@pytest.mark.parametrize("component", ["server", "rollout", "online-store"])
def test_only_the_receiver_reaches_it(component: str) -> None:
    documents, drift = overlay(DRIFT), pod("drift-server")
    assert _reaches(documents, pod("payload-ledger"), drift, 8080)
    labels = {"app.kubernetes.io/part-of": "sluice", "app.kubernetes.io/component": component}
    other = Pod("other", labels, {"containers": []}, "sluice")
    assert not _reaches(documents, other, drift, 8080) and not _reaches(documents, drift, other, 8080)
