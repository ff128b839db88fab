"""Versions on a cluster: what is written, in which order, and what is left when something does not get ready."""

from __future__ import annotations

from typing import Any

import pytest
from fake_cluster import INFERENCESERVICES, ROUTE, FakeCluster
from rendered_server import template

from sluice.errors import RequestError
from sluice.rollout import Counts, Shadow
from sluice.settings.rollout import OnCluster
from sluice_serving.traffic import versions
from sluice_serving.traffic.knative import KnativeTraffic
from sluice_serving.traffic.observed import MetricsObserver
from sluice_serving.traffic.standard import StandardTraffic

OLD, NEW = "a" * 64, "b" * 64


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def seconds(self) -> float:
        return self.now


def standard(cluster: Any, **place: Any) -> StandardTraffic:
    clock = Clock()
    return StandardTraffic(cluster, "fraud", OnCluster(**place), sleep=clock.sleep, seconds=clock.seconds)


def knative(cluster: Any) -> KnativeTraffic:
    clock = Clock()
    return KnativeTraffic(cluster, "fraud", OnCluster(), sleep=clock.sleep, seconds=clock.seconds)


def named(version: str) -> str:
    return f"{INFERENCESERVICES}/fraud-{version[:12]}"


def pod(version: str, uid: str, **status: Any) -> dict[str, Any]:
    container = {"name": "kserve-container", "ports": [{"containerPort": 8080}]}
    state = {"phase": "Running", "podIP": "127.0.0.1", **status}
    return {
        "version": version[:12],
        "metadata": {"name": uid, "uid": uid},
        "spec": {"containers": [container]},
        "status": state,
    }


def test_a_version_is_the_template_but_for_its_name_and_what_it_serves() -> None:
    cluster = FakeCluster()
    standard(cluster).prepare(OLD)
    made, like = cluster.objects[named(OLD)], template("local")
    server, other = (each["spec"]["predictor"]["containers"][0] for each in (made, like))
    assert {"name": "SLUICE_VERSION", "value": OLD} in server.pop("env")
    other.pop("env")
    assert server == other
    made["spec"]["predictor"]["labels"].pop(versions.LABEL)
    for each in (made, like):
        each["spec"]["predictor"].pop("containers")
    assert made["spec"] == like["spec"]
    assert versions.STOP not in made["metadata"]["annotations"]
    assert made["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert made["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u-1"


def test_the_route_has_both_protocols_the_gateway_and_the_weights() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster, gateway="shared", gateway_namespace="infra", hostnames=["fraud.example.com"])
    traffic.prepare(OLD)
    traffic.prepare(NEW)
    traffic.set_weights({OLD: 90, NEW: 10})
    spec = cluster.objects[ROUTE]["spec"]
    (parent,), (rule,) = spec["parentRefs"], spec["rules"]
    assert (parent["name"], parent["namespace"]) == ("shared", "infra")
    assert spec["hostnames"] == ["fraud.example.com"]
    paths = {(each["path"]["type"], each["path"]["value"]) for each in rule["matches"]}
    assert {("PathPrefix", "/v2/models/fraud"), ("Exact", "/v1/models/fraud:predict")} <= paths
    assert [(each["name"], each["weight"]) for each in rule["backendRefs"]] == [
        (f"fraud-{OLD[:12]}-predictor", 90),
        (f"fraud-{NEW[:12]}-predictor", 10),
    ]
    assert rule["timeouts"] == {"request": "5s"}
    assert traffic.weights() == {OLD: 90, NEW: 10}
    assert traffic.endpoint == "http://fraud.example.com"


def test_explanations_go_to_the_versions_that_have_an_explainer_by_the_same_weights() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    traffic.prepare(OLD)
    cluster.objects[f"{INFERENCESERVICES}/fraud"]["spec"]["explainer"] = {"containers": []}
    traffic.prepare(NEW)
    traffic.set_weights({OLD: 50, NEW: 50})
    scoring, explaining = cluster.objects[ROUTE]["spec"]["rules"]
    assert len(scoring["backendRefs"]) == 2
    assert [each["path"]["value"] for each in explaining["matches"]] == ["/v1/models/fraud:explain"]
    assert [(each["name"], each["weight"]) for each in explaining["backendRefs"]] == [
        (f"fraud-{NEW[:12]}-explainer", 50)
    ]
    assert traffic.weights() == {OLD: 50, NEW: 50}


def test_a_shadow_is_the_gateways_mirror_and_goes_with_the_next_weights() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    for version in (OLD, NEW):
        traffic.prepare(version)
    traffic.set_weights({OLD: 100}, Shadow(NEW, 40))
    (rule,) = cluster.objects[ROUTE]["spec"]["rules"]
    backend = {"group": "", "kind": "Service", "name": f"fraud-{NEW[:12]}-predictor", "port": 80}
    assert rule["filters"] == [{"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": 40}}]
    assert traffic.weights() == {OLD: 100, NEW: 0}
    written = len(cluster.done)
    traffic.set_weights({OLD: 100}, Shadow(NEW, 40))
    assert len(cluster.done) == written
    traffic.set_weights({OLD: 100})
    assert "filters" not in cluster.objects[ROUTE]["spec"]["rules"][0]
    cluster.never = {NEW}
    with pytest.raises(RequestError, match="not ready"):
        traffic.set_weights({OLD: 100}, Shadow(NEW, 40))
    with pytest.raises(RequestError, match="not prepared: cccc"):
        traffic.set_weights({OLD: 100}, Shadow("c" * 64, 40))


def test_parts_of_a_percent_are_weights_of_a_thousand() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    for version in (OLD, NEW):
        traffic.prepare(version)
    traffic.set_weights({OLD: 99.5, NEW: 0.5})
    (rule,) = cluster.objects[ROUTE]["spec"]["rules"]
    assert [each["weight"] for each in rule["backendRefs"]] == [995, 5]
    assert traffic.weights() == {OLD: 99.5, NEW: 0.5}
    with pytest.raises(RequestError, match="tenths"):
        traffic.set_weights({OLD: 99.55, NEW: 0.45})


def test_knative_copies_nothing_and_splits_in_whole_percents() -> None:
    traffic = knative(FakeCluster())
    traffic.prepare(OLD)
    traffic.set_weights({OLD: 100})
    traffic.prepare(NEW)
    for asked in (({OLD: 100}, Shadow(NEW, 100)), ({OLD: 99.5, NEW: 0.5}, None)):
        with pytest.raises(RequestError, match="Knative copies no requests and splits in whole percents"):
            traffic.set_weights(*asked)


def test_a_version_that_does_not_get_ready_leaves_nothing_and_says_why() -> None:
    cluster = FakeCluster(never={NEW})
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    cluster.pods = [pod(NEW, "p", phase="Pending", containerStatuses=[waiting])]
    traffic = standard(cluster)
    with pytest.raises(RequestError, match="not ready after 0:05:00: ImagePullBackOff: no such image"):
        traffic.prepare(NEW)
    assert named(NEW) not in cluster.objects


def test_a_version_that_its_server_refuses_is_not_waited_for() -> None:
    cluster = FakeCluster(never={NEW})
    refused = {"state": {}, "lastState": {"terminated": {"exitCode": 3, "message": "blobs/x is not what it says"}}}
    cluster.pods = [pod(NEW, "p", containerStatuses=[refused])]
    clock = Clock()
    traffic = StandardTraffic(cluster, "fraud", OnCluster(), sleep=clock.sleep, seconds=clock.seconds)
    with pytest.raises(RequestError, match=r"refuses it: .*blobs/x is not what it says"):
        traffic.prepare(NEW)
    assert clock.now == 0.0


def test_one_that_runs_already_stays_though_a_new_template_does_not_get_ready() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    traffic.prepare(OLD)
    traffic.set_weights({OLD: 100})
    cluster.objects[f"{INFERENCESERVICES}/fraud"]["spec"]["predictor"]["containers"][0]["image"] = "sluice/none:1"
    cluster.never = {OLD}
    with pytest.raises(RequestError, match="not ready"):
        traffic.prepare(OLD)
    assert cluster.objects[named(OLD)]["spec"]["predictor"]["containers"][0]["image"] == "sluice/none:1"


def test_no_weight_before_ready_and_none_that_does_not_add_up() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    traffic.prepare(OLD)
    traffic.set_weights({OLD: 100})
    with pytest.raises(RequestError, match="not prepared: bbbb"):
        traffic.set_weights({OLD: 90, NEW: 10})
    traffic.prepare(NEW)
    cluster.never = {NEW}
    with pytest.raises(RequestError, match="not ready"):
        traffic.set_weights({OLD: 90, NEW: 10})
    with pytest.raises(RequestError, match="make 100"):
        traffic.set_weights({OLD: 90})
    assert traffic.weights() == {OLD: 100, NEW: 0}


def test_the_champion_keeps_its_traffic_though_it_is_not_ready_for_a_moment() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    traffic.prepare(OLD)
    traffic.prepare(NEW)
    traffic.set_weights({OLD: 90, NEW: 10})
    cluster.never = {OLD}
    traffic.set_weights({OLD: 100})
    assert traffic.weights() == {OLD: 100, NEW: 0}


def test_a_version_leaves_the_route_before_it_goes() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    traffic.prepare(OLD)
    traffic.prepare(NEW)
    traffic.set_weights({OLD: 0, NEW: 100})
    with pytest.raises(RequestError, match="still has 100 %"):
        traffic.retire(NEW)
    cluster.done.clear()
    traffic.retire(OLD)
    assert cluster.done == [("apply", "httproutes/fraud"), ("delete", f"inferenceservices/fraud-{OLD[:12]}")]
    traffic.retire(OLD)
    assert traffic.weights() == {NEW: 100}


def test_settled_traffic_is_written_once() -> None:
    cluster = FakeCluster()
    traffic = standard(cluster)
    for _ in range(3):
        traffic.prepare(OLD)
        traffic.set_weights({OLD: 100})
    assert cluster.done == [("apply", f"inferenceservices/fraud-{OLD[:12]}"), ("apply", "httproutes/fraud")]


def test_a_route_that_no_gateway_takes_is_said() -> None:
    cluster = FakeCluster(refuses_routes=True)
    traffic = standard(cluster)
    traffic.prepare(OLD)
    with pytest.raises(RequestError, match="Accepted: no such Gateway"):
        traffic.set_weights({OLD: 100})


def test_without_a_template_it_says_what_to_apply() -> None:
    cluster = FakeCluster()
    cluster.objects.clear()
    with pytest.raises(RequestError, match="no InferenceService fraud in sluice"):
        standard(cluster).prepare(OLD)


def metrics(requests: int, failed: int = 0) -> str:
    name = "sluice_request_seconds"
    counts = {"200": requests - failed, "500": failed}
    lines = [f'{name}_count{{protocol="v1",status="{status}"}} {count}' for status, count in counts.items()]
    return "\n".join([f"# TYPE {name} histogram", *lines, ""])


def test_what_a_server_counted_stays_counted_when_it_begins_anew_or_goes() -> None:
    said: dict[str, str] = {"p1": metrics(100, 2), "p2": metrics(50)}
    observer = MetricsObserver(lambda _version: said)
    assert (observer.counts(NEW).requests, observer.counts(NEW).errors) == (150, 2)
    said["p1"] = metrics(10)
    assert (observer.counts(NEW).requests, observer.counts(NEW).errors) == (160, 2)
    del said["p2"]
    said["p3"] = metrics(5, 5)
    assert (observer.counts(NEW).requests, observer.counts(NEW).errors) == (165, 7)
    said.clear()
    with pytest.raises(RequestError, match="no server of bbbb"):
        observer.counts(NEW)


def test_counts_add_up() -> None:
    some = Counts(3, 1, (1, 2), 3, (1, 1))
    assert some.plus(Counts()) == some == Counts().plus(some)
    assert some.plus(some).since(some) == some


def test_on_knative_two_revisions_of_one_service_split_the_traffic() -> None:
    cluster = FakeCluster()
    traffic = knative(cluster)
    live = f"{INFERENCESERVICES}/fraud-live"
    traffic.prepare(OLD)
    traffic.set_weights({OLD: 100})
    assert traffic.weights() == {OLD: 100}
    traffic.prepare(NEW)
    assert traffic.weights() == {OLD: 100, NEW: 0}
    assert cluster.objects[live]["spec"]["predictor"]["canaryTrafficPercent"] == 0
    traffic.set_weights({OLD: 90, NEW: 10})
    assert cluster.objects[live]["spec"]["predictor"]["canaryTrafficPercent"] == 10
    traffic.set_weights({NEW: 100})
    traffic.retire(OLD)
    assert traffic.weights() == {NEW: 100}
    assert "canaryTrafficPercent" not in cluster.objects[live]["spec"]["predictor"]


def test_on_knative_one_that_is_taken_back_leaves_the_champion_alone() -> None:
    cluster = FakeCluster()
    traffic = knative(cluster)
    traffic.prepare(OLD)
    traffic.set_weights({OLD: 100})
    traffic.prepare(NEW)
    traffic.set_weights({OLD: 95, NEW: 5})
    traffic.set_weights({OLD: 100})
    traffic.retire(NEW)
    assert traffic.weights() == {OLD: 100}
    cluster.never = {"c" * 64}
    with pytest.raises(RequestError, match="not ready"):
        traffic.prepare("c" * 64)
    assert traffic.weights() == {OLD: 100}
