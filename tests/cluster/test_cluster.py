"""The test cluster is a real one."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from conftest import Apply, Reach, WaitFor
from objects import RESTRICTED, is_ready, pod, service

from tools.cluster.cluster import Cluster
from tools.cluster.errors import ClusterError
from tools.cluster.kubectl import Kubectl, RefusedError


def test_a_pod_runs_under_the_restricted_standard_and_answers_through_its_service(
    kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor, reach: Reach
) -> None:
    apply(pod(namespace, "echo"), service(namespace, "echo"))
    here = kubectl.in_namespace(namespace)
    wait_for("the pod to be ready", lambda: is_ready(here.get("pod/echo")))
    url = reach(here.get("service/echo")["spec"]["clusterIP"], 80)
    assert wait_for("an answer through the Service", lambda: _get(url)) == "echo\n"


def test_pods_find_each_other_by_name(
    kubectl: Kubectl, namespace: str, apply: Apply, wait_for: WaitFor, reach: Reach
) -> None:
    apply(pod(namespace, "echo"), service(namespace, "echo"))
    here = kubectl.in_namespace(namespace)
    found = wait_for("the pod to be ready", lambda: is_ready(it := here.get("pod/echo")) and it)
    asked = reach(found["status"]["podIP"], 8080) + f"/ask?url=http://echo.{namespace}.svc.cluster.local/"
    assert wait_for("the pod to find itself through its Service's name", lambda: _get(asked)) == "echo\n"


def test_a_pod_as_root_is_refused(namespace: str, apply: Apply) -> None:
    wrong = pod(namespace, "root")
    wrong["spec"]["containers"][0]["securityContext"] = RESTRICTED | {"runAsNonRoot": False, "runAsUser": 0}
    with pytest.raises(RefusedError, match='violates PodSecurity "restricted'):
        apply(wrong)


def test_an_account_has_its_own_rights_only(kubectl: Kubectl, namespace: str) -> None:
    with pytest.raises(RefusedError, match="cannot list resource"):
        kubectl.as_service_account(namespace, "default")("get", "secrets")


def test_there_is_no_way_out(cluster: Cluster) -> None:
    assert "default" not in cluster.run(["ip", "route"]).stdout


def test_an_archive_that_is_none_is_refused_with_its_name(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "wrong.tar").write_text("not an archive")
    with pytest.raises(ClusterError, match=r"wrong\.tar cannot be imported"):
        cluster.import_image(tmp_path / "wrong.tar")


def _get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return None
