"""KServe's own agent before a real server: what it logs is in the ledger, put there by the receiver's pod."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import yaml
from conftest import WaitFor
from stack import NAMESPACE, ROOT, SPOOL, Stack, volumes

from sluice.ledger import Answers, answers
from sluice.payloads.callers import admit
from tools.cluster.images import write_image
from tools.cluster.relay import Relay

NAME = "watched"
SMALL = {"cpu": "50m", "memory": "256Mi"}
COMPONENT = ROOT / "manifests" / "components" / "payload-ledger"
QUESTIONS = [
    {
        "event_id": str(3 * 10**9 + number),
        "event_time": "2018-06-02T11:00:00Z",
        "card": str(number),
        "terminal": str(number),
        "amount": 20.0 + number,
    }
    for number in range(10)
]


@pytest.fixture(scope="module")
def receiver(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The receiver of the component, and the token of the one caller that it admits."""
    folder, here = tmp_path_factory.mktemp("ledger"), stack.kubectl
    token = admit(folder / "callers.yaml", "fraud-server", ["fraud"])
    here("create", "secret", "generic", "sluice-payload-callers", f"--from-file={folder / 'callers.yaml'}")
    stack.cluster.kubectl.apply(*volumes(stack.cluster, folder, [SPOOL]))
    here.apply(*_component())
    here("rollout", "status", "statefulset/payload-ledger", "--timeout=180s")
    address = here.get("service/payload-ledger")["spec"]["clusterIP"]
    if address == "None":
        address = here.get("pod/payload-ledger-0")["status"]["podIP"]
    with Relay(stack.cluster.namespace, address, _port(here.get("service/payload-ledger"))) as relay:
        yield f"http://{relay.address}", token


@pytest.fixture(scope="module")
def server(
    stack: Stack, trained: dict[str, Any], receiver: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An InferenceService like the overlay's template, and before it the agent that KServe puts there."""
    here = stack.kubectl
    settings = stack.cluster.kubectl.in_namespace("kserve").get("configmap/inferenceservice-config")["data"]
    agent = f"docker.io/{json.loads(settings['logger'])['image']}"
    stack.cluster.import_image(write_image(tmp_path_factory.mktemp("agent") / "agent.tar", agent, "kserve-agent"))
    here.apply(_like(here.get("inferenceservice/fraud"), receiver[1]))
    try:
        here("wait", "--for=create", f"deployment/{NAME}-predictor", "--timeout=120s")
        here("rollout", "status", f"deployment/{NAME}-predictor", "--timeout=300s")
        address = here.get(f"service/{NAME}-predictor")["spec"]["clusterIP"]
        with Relay(stack.cluster.namespace, address, 80) as relay:
            yield f"http://{relay.address}"
    finally:
        here("delete", "inferenceservice", NAME)


def test_what_the_agent_logs_is_in_the_ledger(
    stack: Stack, server: str, trained: dict[str, Any], wait_for: WaitFor
) -> None:
    (pod,) = stack.kubectl.get("pods", f"--selector=serving.kserve.io/inferenceservice={NAME}")
    assert {one["name"] for one in pod["spec"]["containers"]} == {"kserve-container", "agent"}
    said: dict[str, float] = {}
    with httpx.Client(base_url=server, timeout=30) as client:
        for question in QUESTIONS:
            answer = client.post("/v1/models/fraud:predict", json={"instances": [question]}).json()
            said[question["event_id"]] = answer["predictions"][0]["score"]
    wait_for("all answers", lambda: _ledger(stack).frame.height >= len(QUESTIONS), within=120)
    found = _ledger(stack)
    assert dict(found.frame.select("event_id", "score").iter_rows()) == said
    assert set(found.frame["version"]) == {trained["gate"].parameters["version"]}
    assert set(found.frame["caller"]) == {"fraud-server"}
    assert found.frame["features"].null_count() == 0
    assert found.frame["asked"].null_count() == found.without_request == found.unanswered.height == 0


def test_nobody_else_writes_there(receiver: tuple[str, str]) -> None:
    address, token = receiver
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "here", "ce-type": "anything"}
    where = f"{address}/models/fraud"
    assert httpx.post(where, headers=event, content=b"{}").status_code == 401
    assert httpx.post(where, headers=event, content=b"{}", auth=("fraud-server", "wrong")).status_code == 401
    other = httpx.post(f"{address}/models/rides", headers=event, content=b"{}", auth=("fraud-server", token))
    assert other.status_code == 403


def _component() -> list[dict[str, Any]]:
    """The component's objects, its patches aside: for the spool's segments a second, and little of a small machine."""
    names = yaml.safe_load((COMPONENT / "kustomization.yaml").read_text())["resources"]
    objects = [yaml.safe_load((COMPONENT / name).read_text()) for name in names]
    for each in objects:
        each["metadata"]["namespace"] = NAMESPACE
        if each["kind"] == "StatefulSet":
            each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"] = "sluice"
            each["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] = SMALL
        if each["kind"] == "ConfigMap":
            each["data"]["payloads.yaml"] = each["data"]["payloads.yaml"].replace("flush_every: 30s", "flush_every: 1s")
    return objects


def _like(template: dict[str, Any], token: str) -> dict[str, Any]:
    """One server of the champion, as the component's patch has it, and the caller's token in the address."""
    predictor = template["spec"]["predictor"]
    predictor["minReplicas"] = 1
    predictor["containers"][0]["resources"]["requests"] = SMALL
    (patch,) = yaml.safe_load((COMPONENT / "patch-inferenceservice.yaml").read_text())
    url = patch["value"]["url"].replace("http://", f"http://fraud-server:{token}@")
    predictor["logger"] = patch["value"] | {"url": url}
    names = [f"serving.kserve.io/{name}" for name in ("deploymentMode", "autoscalerClass")]
    annotations = {name: template["metadata"]["annotations"][name] for name in names}
    labels = template["metadata"]["labels"]
    return {
        "apiVersion": template["apiVersion"],
        "kind": "InferenceService",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": annotations, "labels": labels},
        "spec": {"predictor": predictor},
    }


def _ledger(stack: Stack) -> Answers:
    now = datetime.now(UTC)
    within = timedelta(minutes=1)
    return answers(stack.store("monitor"), "fraud", now - timedelta(hours=2), now + within, answer_within=within)


def _port(service: dict[str, Any]) -> int:
    port = service["spec"]["ports"][0]
    return int(port["port"]) if service["spec"]["clusterIP"] != "None" else 8080
