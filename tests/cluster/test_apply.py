"""Every overlay against the real API server, with the real definitions of KServe, Gateway API, Prometheus, Knative."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import WaitFor
from stack import NAMESPACE, ROOT, Stack

from tests.manifests.rendered import OVERLAYS
from tools.cluster.kubectl import Kubectl, RefusedError
from tools.cluster.relay import Relay

MANIFESTS = ROOT / "manifests"
TEAM = "team-fraud"
KEEP = "sluice-keep-"


@pytest.fixture(params=OVERLAYS)
def folder(request: pytest.FixtureRequest, kubectl: Kubectl, tmp_path: Path) -> Iterator[str]:
    """An overlay's folder; what was applied from it is gone after the test, stored data too."""
    own = request.param != "existing"
    place = MANIFESTS / "overlays" / request.param if own else MANIFESTS / "examples" / "beside-kubeflow"
    if own and _is_there(kubectl, NAMESPACE):
        pytest.skip("the namespace is in use: another test's stack runs")
    if not own:
        kubectl("create", "namespace", TEAM)
    yield str(place)
    _remove(kubectl, place, NAMESPACE if own else TEAM)


@pytest.fixture(scope="session")
def relays() -> Iterator[ExitStack]:
    """Relays that stay open to the end of the run."""
    with ExitStack() as opened:
        yield opened


def test_an_overlay_is_applied_and_a_second_time_changes_nothing(folder: str, kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-k", folder)
    first = _settled(kubectl, folder)
    assert kubectl("diff", "-k", folder) == kubectl("diff", "--server-side", "-k", folder) == ""
    kubectl("apply", "--server-side", "-k", folder)
    assert _settled(kubectl, folder) == first


@pytest.mark.timeout(1800)  # the first to ask for the stack waits for its images
def test_deleting_and_applying_again_loses_no_stored_data(stack: Stack, wait_for: WaitFor, relays: ExitStack) -> None:
    everything, here = stack.cluster.kubectl, stack.kubectl
    overlay = str(MANIFESTS / "overlays" / "local")
    stored = sorted(stack.store().keys())
    assert stored
    _redis(here, "set", "kept", "1")
    with pytest.raises(RefusedError, match="it holds stored data, which would go with it"):
        everything("delete", "-k", overlay, "--timeout=120s")
    wait_for("the pods to be gone", lambda: not here.get("pods"), within=120)
    assert {claim["metadata"]["name"] for claim in here.get("persistentvolumeclaims")} >= {"data-minio-0"}
    everything("apply", "--server-side", "-k", overlay)
    here("wait", "--for=condition=complete", "job/store-setup", "--timeout=300s")
    here("rollout", "status", "statefulset/minio", "--timeout=120s")
    here("rollout", "status", "statefulset/redis", "--timeout=120s")
    assert _redis(here, "get", "kept") == "1"
    # The Service is a new one at another address; later tests go there, too.
    address = here.get("service/minio")["spec"]["clusterIP"]
    stack.minio = f"http://{relays.enter_context(Relay(stack.cluster.namespace, address, 9000)).address}"
    assert sorted(stack.store().keys()) == stored


def test_a_namespace_with_data_is_deleted_only_by_who_means_it(stack: Stack) -> None:
    with pytest.raises(RefusedError, match="kubectl label namespace sluice sluice-keep-"):
        stack.cluster.kubectl("delete", "namespace", NAMESPACE)


@pytest.mark.parametrize("example", ["external-secrets", "recurring-run", "spark"])
def test_an_example_is_taken_by_the_api_server(example: str, kubectl: Kubectl) -> None:
    if not _is_there(kubectl, NAMESPACE):
        kubectl("apply", "--server-side", "-f", str(MANIFESTS / "components" / "namespace" / "namespace.yaml"))
    applied = kubectl("apply", "--server-side", "--dry-run=server", "-k", str(MANIFESTS / "examples" / example))
    assert applied.count("serverside-applied") == len(applied.strip().splitlines())


def _settled(kubectl: Kubectl, folder: str) -> dict[str, Any]:
    """The applied objects without what controllers write."""
    found = {}
    for each in kubectl.get("-k", folder):
        metadata = {key: each["metadata"].get(key) for key in ("uid", "generation", "labels", "annotations")}
        rest = {key: value for key, value in each.items() if key not in ("metadata", "status")}
        found[each["kind"], each["metadata"]["name"]] = (metadata, rest)
    return found


def _redis(here: Kubectl, *command: str) -> str:
    return here("exec", "redis-0", "--", "redis-cli", *command).strip()


def _is_there(kubectl: Kubectl, namespace: str) -> bool:
    return bool(kubectl("get", "namespace", namespace, "--ignore-not-found").strip())


def _remove(kubectl: Kubectl, folder: Path, namespace: str) -> None:
    kubectl("label", "namespace", namespace, KEEP)
    kubectl("delete", "-k", os.fspath(folder), "--ignore-not-found", "--timeout=120s")
    kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
