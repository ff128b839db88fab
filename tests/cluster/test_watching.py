"""A watched endpoint: KServe's agent before its server, the ledger's receiver, the drift server, the explainer.

The components are put together by Kustomize, as an overlay has them; only what a small machine cannot give is patched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import WaitFor
from stack import NAMESPACE, ROOT, SPOOL, Stack, built, volumes

from sluice.ledger import Answers, answers
from sluice.payloads.callers import admit
from tools.cluster.images import write_image
from tools.cluster.kubectl import RefusedError
from tools.cluster.relay import Relay

NAME, CALLER = "watched", "fraud-server"
COMPONENTS = ("payload-ledger", "drift-server", "explainer")
IMAGES = ("sluice/serving-python", "sluice/alibi-python")
SMALL = {"cpu": "50m", "memory": "256Mi"}
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


@dataclass(frozen=True)
class Watched:
    """The stack with the watched endpoint, and what its server's agent may call itself with."""

    stack: Stack
    token: str

    @contextmanager
    def client(self, service: str) -> Iterator[httpx.Client]:
        """A client of a Service."""
        found = self.stack.kubectl.get(f"service/{service}")["spec"]
        address, port = found["clusterIP"], found["ports"][0]["port"]
        with (
            Relay(self.stack.cluster.namespace, address, port) as relay,
            httpx.Client(base_url=f"http://{relay.address}", timeout=60) as client,
        ):
            yield client

    def ledger(self) -> Answers:
        """What the ledger holds, read with the monitor's rights."""
        now, within = datetime.now(UTC), timedelta(minutes=1)
        store = self.stack.store("monitor")
        return answers(store, "fraud", now - timedelta(hours=2), now + within, answer_within=within)


@pytest.fixture(scope="module")
def watched(stack: Stack, trained: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An InferenceService like the overlay's template, with the three components; `trained` made the champion."""
    folder, here = tmp_path_factory.mktemp("watched"), stack.kubectl
    settings = stack.cluster.kubectl.in_namespace("kserve").get("configmap/inferenceservice-config")["data"]
    agent = f"docker.io/{json.loads(settings['logger'])['image']}"
    stack.cluster.import_image(write_image(folder / "agent.tar", agent, "kserve-agent"))
    stack.cluster.import_image(built("alibi"))
    token = _secrets(stack, folder)
    stack.cluster.kubectl.apply(*volumes(stack.cluster, folder, [SPOOL]))
    _write_overlay(folder / "overlay", here.get("inferenceservice/fraud"), token)
    here.apply(*yaml.safe_load_all(here("kustomize", str(folder / "overlay"))))
    try:
        for each in ("predictor", "explainer"):
            here("wait", "--for=create", f"deployment/{NAME}-{each}", "--timeout=120s")
        names = ("statefulset/payload-ledger", "deployment/drift-server")
        for name in (*names, f"deployment/{NAME}-predictor", f"deployment/{NAME}-explainer"):
            here("rollout", "status", name, "--timeout=300s")
        yield Watched(stack, token)
    except RefusedError:
        _tell(stack)
        raise
    finally:
        here("delete", "inferenceservice", NAME)
        here("delete", "statefulset/payload-ledger", "deployment/drift-server")


@pytest.fixture(scope="module")
def said(watched: Watched) -> dict[str, float]:
    """The scores of some questions by event id, asked one by one through the agent."""
    found = {}
    with watched.client(f"{NAME}-predictor") as client:
        for question in QUESTIONS:
            answer = client.post("/v1/models/fraud:predict", json={"instances": [question]}).json()
            found[question["event_id"]] = answer["predictions"][0]["score"]
    return found


def test_what_kserves_agent_logs_is_in_the_ledger(
    watched: Watched, said: dict[str, float], trained: dict[str, Any], wait_for: WaitFor
) -> None:
    (pod,) = watched.stack.kubectl.get(
        "pods", f"--selector=component=predictor,serving.kserve.io/inferenceservice={NAME}"
    )
    assert {one["name"] for one in pod["spec"]["containers"]} == {"kserve-container", "agent"}
    wait_for("all answers", lambda: watched.ledger().frame.height >= len(said), within=120)
    found = watched.ledger()
    assert dict(found.frame.select("event_id", "score").iter_rows()) == said
    assert set(found.frame["version"]) == {trained["gate"].parameters["version"]}
    assert set(found.frame["caller"]) == {CALLER}
    assert found.frame["features"].null_count() == 0
    assert found.frame["asked"].null_count() == found.without_request == found.unanswered.height == 0


def test_the_drift_server_was_handed_every_answer_and_scores_it(
    watched: Watched, said: dict[str, float], wait_for: WaitFor
) -> None:
    with watched.client("drift-server") as client:

        def taken() -> bool:
            lines = client.get("/metrics").text.splitlines()
            counted = [
                line for line in lines if line.startswith("sluice_drift_events_total") and 'outcome="response"' in line
            ]
            return bool(counted) and float(counted[0].split()[-1]) == len(said)

        wait_for("all answers", taken)
        assert "sluice_outlier_score_count" in client.get("/metrics").text


def test_the_explainers_reasons_add_up_to_the_score(watched: Watched, said: dict[str, float]) -> None:
    with watched.client(f"{NAME}-explainer") as client:
        answer = client.post("/v1/models/fraud:explain", json={"instances": QUESTIONS[:1]}).json()
    (found,) = answer["explanations"]
    assert found["score"] == pytest.approx(said[QUESTIONS[0]["event_id"]], abs=1e-6)
    assert found["base"] + sum(found["shap_values"]) == pytest.approx(found["score"], abs=1e-6)


def test_nobody_else_writes_into_the_ledger(watched: Watched) -> None:
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "here", "ce-type": "anything"}
    with watched.client("payload-ledger") as client:
        nobody = client.post("/models/fraud", headers=event, content=b"{}")
        wrong = client.post("/models/fraud", headers=event, content=b"{}", auth=(CALLER, "wrong"))
        other = client.post("/models/rides", headers=event, content=b"{}", auth=(CALLER, watched.token))
    assert [one.status_code for one in (nobody, wrong, other)] == [401, 401, 403]


def _tell(stack: Stack) -> None:
    """What the pods of the components are at, and the last words of each."""
    print(stack.kubectl("get", "pods"))
    for component in ("drift-server", "explainer", "payload-ledger"):
        for pod in stack.kubectl.get("pods", f"--selector=app.kubernetes.io/component={component}"):
            with suppress(RefusedError):
                print(stack.kubectl("logs", pod["metadata"]["name"], "--all-containers", "--prefix", "--tail=20"))


def _secrets(stack: Stack, folder: Path) -> str:
    """Who may write into the ledger and to the drift server; the token of the first."""
    token = admit(folder / "ledger" / "callers.yaml", CALLER, ["fraud"])
    forward = admit(folder / "drift" / "callers.yaml", "receiver", ["fraud"])
    given = {
        "sluice-payload-callers": f"--from-file={folder / 'ledger' / 'callers.yaml'}",
        "sluice-drift-callers": f"--from-file={folder / 'drift' / 'callers.yaml'}",
        "sluice-drift-forward": f"--from-literal=SLUICE_PAYLOADS_FORWARD_TOKEN={forward}",
    }
    for name, source in given.items():
        stack.kubectl("create", "secret", "generic", name, source)
    return token


def _write_overlay(folder: Path, template: dict[str, Any], token: str) -> None:
    """An overlay of one server like the template, and the components."""
    names = [f"serving.kserve.io/{name}" for name in ("deploymentMode", "autoscalerClass")]
    template["spec"]["predictor"]["minReplicas"] = 1
    template["metadata"] = {
        "name": NAME,
        "labels": template["metadata"]["labels"],
        "annotations": {name: template["metadata"]["annotations"][name] for name in names},
    }
    kept = {key: template[key] for key in ("apiVersion", "kind", "metadata", "spec")}
    components = [os.path.relpath(ROOT / "manifests" / "components" / name, folder) for name in COMPONENTS]
    overlay = {
        "namespace": NAMESPACE,
        "resources": ["server.yaml"],
        "components": components,
        "images": [{"name": name, "newTag": "0.1.0"} for name in IMAGES],
        "patches": _patches(token),
    }
    folder.mkdir()
    (folder / "server.yaml").write_text(yaml.safe_dump(kept))
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))


def _patches(token: str) -> list[dict[str, Any]]:
    """The caller's token in the address, requests that fit, and a ledger that writes each second."""
    server = ("predictor/containers", "explainer/initContainers", "explainer/containers")
    url = {"path": "/spec/predictor/logger/url", "value": f"http://{CALLER}:{token}@payload-ledger/models/fraud"}
    quick = {"path": "/data/payloads.yaml", "value": "flush_every: 1s\n"}
    changes = {
        ("StatefulSet", "payload-ledger"): [_small("template/spec/containers")],
        ("Deployment", "drift-server"): [_small(f"template/spec/{part}") for part in ("initContainers", "containers")],
        ("InferenceService", NAME): [*map(_small, server), url],
        ("ConfigMap", "sluice-payload-ledger"): [quick],
    }
    return [
        {
            "target": {"kind": kind, "name": name},
            "patch": yaml.safe_dump([{"op": "replace", **each} for each in replaced]),
        }
        for (kind, name), replaced in changes.items()
    ]


def _small(containers: str) -> dict[str, Any]:
    return {"path": f"/spec/{containers}/0/resources/requests", "value": SMALL}
