"""The champion behind real pods, as the rollout of the `local` overlay puts it there, and what happens to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from conftest import WaitFor
from stack import ROOT, Stack

from sluice.batch import score_with_champion
from sluice.ingest import ingest
from tools.cluster.kubectl import RefusedError
from tools.cluster.relay import Relay

V1, V2 = "/v1/models/fraud:predict", "/v2/models/fraud/infer"


@pytest.fixture(scope="module")
def endpoint(stack: Stack, trained: dict[str, Any]) -> Iterator[str]:
    """The Service of the champion's predictor, once two servers are ready."""
    here, name = stack.kubectl, champions(stack)
    here("wait", "--for=create", f"deployment/{name}", "--timeout=120s")
    here("rollout", "status", f"deployment/{name}", "--timeout=300s")
    address = here.get(f"service/{name}")["spec"]["clusterIP"]
    with Relay(stack.cluster.namespace, address, 80) as relay:
        yield f"http://{relay.address}"


def champions(stack: Stack) -> str:
    """The name of the champion's Deployment and Service."""
    champion = stack.registry().champion()
    assert champion is not None
    return f"fraud-{champion.digest[:12]}-predictor"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Questions after all that the online store knows, about cards and terminals of its, and one about a stranger."""
    known = [
        {
            "event_id": f"{10**9 + number}",
            "event_time": "2018-06-02T10:00:00Z",
            "card": str(number),
            "terminal": str(number * 3 % 300),
            "amount": 10.0 + number,
        }
        for number in range(20)
    ]
    # At a terminal of its own: offline the rows of a table see each other.
    return [*known, {**known[0], "event_id": str(2 * 10**9), "card": "999999", "terminal": "290"}]


def test_it_answers_both_protocols_with_the_champion(
    endpoint: str, rows: list[dict[str, Any]], trained: dict[str, Any]
) -> None:
    with httpx.Client(base_url=endpoint, timeout=30) as client:
        answer = client.post(V1, json={"instances": rows}).json()
        tensors = [_tensor(name, rows) for name in rows[0]]
        second = client.post(V2, json={"inputs": tensors}).json()
    assert answer["model_version"] == trained["gate"].parameters["version"]
    assert [bool(one["unknown"]) for one in answer["predictions"]] == [False] * 20 + [True]
    scores = next(one["data"] for one in second["outputs"] if one["name"] == "scores")
    assert scores == pytest.approx([one["score"] for one in answer["predictions"]], abs=1e-9)


def test_its_scores_are_those_of_the_offline_computation(
    stack: Stack, endpoint: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    answer = httpx.post(f"{endpoint}{V1}", json={"instances": rows}, timeout=30).json()
    offline = _offline(stack, rows, tmp_path)
    assert [one["score"] for one in answer["predictions"]] == pytest.approx(offline, abs=1e-6)


def test_a_pod_killed_under_load_costs_no_client_that_asks_once_more(
    stack: Stack, endpoint: str, rows: list[dict[str, Any]], wait_for: WaitFor
) -> None:
    answered: list[int] = []
    done = threading.Event()
    sender = threading.Thread(target=_ask_until, args=(done, endpoint, rows[:1], answered))
    sender.start()
    try:
        wait_for("the first answers", lambda: len(answered) > 20)
        here = stack.kubectl
        victim = here.get("pods", "--selector=app.kubernetes.io/component=server")[0]["metadata"]["name"]
        here("delete", "pod", victim, "--grace-period=0", "--force")
        before = len(answered)
        wait_for("answers after the kill", lambda: len(answered) > before + 50)
    finally:
        done.set()
        sender.join()
    assert set(answered) == {200}


@pytest.mark.parametrize("forged", ["blobs", "registry/fraud/signatures"])
def test_a_forged_version_is_refused_by_the_pod_and_it_says_so(
    stack: Stack, endpoint: str, wait_for: WaitFor, forged: str
) -> None:
    """Whoever owns the disk changes the stored graph, or its signature; a pod that starts now must not serve it."""
    store, champion = stack.store(), stack.registry().champion()
    assert champion is not None
    part = champion.files["model.onnx"] if forged == "blobs" else champion.digest
    key = next(one for one in store.keys(forged) if part in one)
    kept = store.get(key)
    middle = len(kept) // 2
    store.put(key, kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :])
    name = _another_pod(stack, _template(stack))
    try:
        wait_for("the pod to refuse", lambda: _ended_with(stack, name, 3), within=120)
        assert key in _log(stack, name) or champion.digest[:12] in _log(stack, name)
    finally:
        store.put(key, kept)
        stack.kubectl("delete", "pod", name, "--wait=false")


def test_a_store_that_is_down_is_waited_for_and_named(stack: Stack, endpoint: str, wait_for: WaitFor) -> None:
    here, template = stack.kubectl, _template(stack)
    here("scale", "statefulset/minio", "--replicas=0")
    try:
        here("wait", "--for=delete", "pod/minio-0", "--timeout=60s")
        name = _another_pod(stack, template)
        wait_for("the pod to say that it waits", lambda: "s3://sluice" in _log(stack, name), within=120)
        (status,) = here.get(f"pod/{name}")["status"]["containerStatuses"]
        assert (status["ready"], status["restartCount"]) == (False, 0)
        assert httpx.get(f"{endpoint}/v1/models/fraud", timeout=30).status_code == 200, "those that run need no store"
    finally:
        here("scale", "statefulset/minio", "--replicas=1")
    wait_for("the pod to be ready", lambda: here.get(f"pod/{name}")["status"]["containerStatuses"][0]["ready"], 240)
    here("delete", "pod", name, "--wait=false")


def _tensor(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    kind = "FP64" if name == "amount" else "BYTES"
    return {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}


def _offline(stack: Stack, rows: list[dict[str, Any]], folder: Path) -> list[float]:
    use_case = stack.use_case(**{"data.source": str(stack.folder / "raw"), "features.repo": str(ROOT / "feature_repo")})
    now = datetime.now(UTC)
    ingest(use_case, now=now).write(folder / "history")
    names = {"event_id": "transaction_id", "event_time": "time", "card": "card_id", "terminal": "terminal_id"}
    pl.DataFrame(rows).rename(names).write_csv(folder / "rows.csv")
    score_with_champion(
        stack.registry(), str(folder / "rows.csv"), folder / "scores.parquet", now=now, history=folder / "history"
    )
    scored = pl.read_parquet(folder / "scores.parquet")
    by_id = dict(zip(scored.get_column("event_id").to_list(), scored.get_column("score").to_list(), strict=True))
    return [by_id[row["event_id"]] for row in rows]


def _ask_until(done: threading.Event, endpoint: str, rows: list[dict[str, Any]], answered: list[int]) -> None:
    """One request after another; one that fails is asked once more, over a new connection."""
    while not done.is_set():
        try:
            answered.append(httpx.post(f"{endpoint}{V1}", json={"instances": rows}, timeout=5).status_code)
        except httpx.TransportError:
            try:
                answered.append(httpx.post(f"{endpoint}{V1}", json={"instances": rows}, timeout=5).status_code)
            except httpx.TransportError:
                answered.append(0)


def _template(stack: Stack) -> dict[str, Any]:
    """Of the champion's pods; the store tells which version that is."""
    template: dict[str, Any] = stack.kubectl.get(f"deployment/{champions(stack)}")["spec"]["template"]
    return template


def _another_pod(stack: Stack, template: dict[str, Any]) -> str:
    """A pod like the predictor's, beside the Deployment."""
    name = "another-server"
    template["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "10m", "memory": "256Mi"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": template["spec"]}
    stack.kubectl("delete", "pod", name, "--ignore-not-found")
    stack.kubectl("create", "--filename=-", given=json.dumps(pod))
    return name


def _log(stack: Stack, name: str) -> str:
    """What the pod's container says, or said before it ended; nothing while it has not begun."""
    for which in ("--previous=false", "--previous=true"):
        with suppress(RefusedError):
            said = stack.kubectl("logs", name, which)
            if said:
                return said
    return ""


def _ended_with(stack: Stack, name: str, code: int) -> bool:
    for status in stack.kubectl.get(f"pod/{name}")["status"].get("containerStatuses", []):
        for state in (status["state"], status.get("lastState", {})):
            if state.get("terminated", {}).get("exitCode") == code:
                return True
    return False
