"""What a rollout needs on the test cluster: versions to roll out, faults in their servers, and requests that come."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from stack import NAMESPACE, ROOT, Stack

from sluice import digests
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.registry import Decision, Keys, Registry, Version
from sluice_serving.traffic.route import weights_of
from tests.serving.serving_world import case, linear_graph
from tools.cluster import gateway
from tools.cluster.kubectl import Object

HERE = Path(__file__).parent
RATE = 100.0
BASE = 0.11
"""Seconds that every version takes: its p95 lies far from the next of the histogram's edges."""
POLICY: dict[str, Any] = {
    "steps": [0.5, 5, 25],
    "min_requests": 400,
    "look_every": "1s",
    "max_duration": "90s",
    "when_short": "proceed",
    "keep_previous": "1h",
}
"""What hurts every request is found at half a percent, after some ten requests, shifted scores at 5 percent, after some
fifty."""
BRISK: dict[str, Any] = {"steps": [1, 25], "max_duration": "30s"}
"""For what hurts few or no requests: to be sure of 5 % of errors takes some 300."""
HANGS = 60.0
"""Seconds: longer than gateway and server wait."""
FEW = "errors on 5 % of requests"
FAULTS: dict[str, dict[str, float]] = {
    "five times slower": {"slower": 5.0},
    "scores have shifted": {"shifted": 0.9},
    "hangs": {"hanging": HANGS},
    FEW: {"failing": 0.05},
}
COPIED = {"slower": 5.0}
"""What only a shadow meets."""
VARIANTS = [*FAULTS, "copied", "good", "frozen", "forged"]
SENT_FILES = ("version.json", "version.sig")


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent, its status (0: none), who answered, and how long it took."""

    sent: float
    status: int
    version: str
    seconds: float


@dataclass
class Life:
    """A model's endpoint with a champion and versions that may follow it."""

    stack: Stack
    registry: Registry
    url: str
    versions: dict[str, Version]

    def clear(self, name: str) -> Version:
        """Say that a version passed the gate: the rollout in the cluster begins."""
        version, champion = self.versions[name], self.registry.state().champion
        self.registry.settle("cleared", version=version.digest, against=champion, reason="the test says so")
        return version

    def last(self, version: Version, *kinds: str) -> Decision | None:
        """The latest decision of these kinds about a version."""
        return next((e for e in reversed(self.registry.log()) if e.version == version.digest and e.kind in kinds), None)

    def weights(self) -> dict[str, float]:
        """Percents by Service, as the route has them."""
        return weights_of(self.stack.kubectl.get("httproute/fraud"))

    def rollout_pod(self) -> str:
        """The name of the pod that leads."""
        found = self.stack.kubectl.get("pods", "--selector=app.kubernetes.io/name=rollout")
        return str(next(one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]))

    @contextmanager
    def requests(self) -> Iterator[list[Answer]]:
        """Requests at a steady rate while the block lasts; afterwards the list holds all answers.

        The block begins under load: a server that nobody asked for a minute may first have to get its pages back, where
        the machine takes memory away that lies idle (as with the `pageout` of DAMON).
        """
        answers: list[Answer] = []
        with tempfile.TemporaryDirectory() as folder:
            rows, log = Path(folder) / "rows.json", Path(folder) / "answers"
            rows.write_text(json.dumps(questions()))
            command = [sys.executable, str(HERE / "sending.py"), self.url, str(RATE), str(rows)]
            inside = self.stack.cluster.namespace.command(command, network_only=True)
            with log.open("wb") as file, subprocess.Popen(inside, stdout=file) as sender:
                try:
                    _wait_until(lambda: _is_steady(log), "a second in which each request has its answer", sender)
                    begun = time.time()
                    yield answers
                finally:
                    sender.terminate()
                    sender.wait(60)
            found = (Answer(**json.loads(line)) for line in log.read_text().splitlines())
            answers += [one for one in found if one.sent >= begun]


def questions() -> list[dict[str, Any]]:
    """Rows whose cards and terminals the pipeline's world knows."""
    return [
        {
            "event_time": "2018-06-02T10:00:00Z",
            "card": str(number),
            "terminal": str(number * 3 % 300),
            "amount": 5.0 + 7.0 * number,
        }
        for number in range(20)
    ]


def signing_registry(stack: Stack) -> Registry:
    """The registry as the gate has it."""
    keys = stack.folder / "gate-keys"
    keys.mkdir(exist_ok=True)
    for name, value in stack.secret("sluice-gate-key").items():
        (keys / name).write_text(value)
        (keys / name).chmod(0o600)
    return Registry(stack.store(), "fraud", clock=lambda: datetime.now(UTC), actor="test", keys=Keys.ensure(keys))


def champion_of(registry: Registry, folder: Path) -> Version:
    """The pipeline's champion where it ran before; else a small model, not live yet, that needs no online store."""
    if (found := registry.champion()) is not None:
        return found
    request = [{"kind": "value", "name": "amount", "column": "amount"}]
    plain = case(features={"repo": None, "service": None, "request": request})
    files = folder / "champion"
    files.mkdir()
    (files / "model.onnx").write_bytes(linear_graph(plain, 1, 0))
    schema = FeatureSchema((FeatureColumn("amount", fill=0.0),))
    (files / "schema.json").write_bytes(digests.canonical_json(schema.document()))
    (files / "settings.json").write_text(plain.model_dump_json(by_alias=True))
    return registry.add_version(files, {"score_levels": [k / 10 for k in range(1, 10)]})


def variants(registry: Registry, champion: Version, folder: Path) -> dict[str, Version]:
    """Versions that are the champion but for a word in their document."""
    files = registry.fetch(champion, folder / "files")
    for name in SENT_FILES:
        (files / name).unlink(missing_ok=True)
    return {name: registry.add_version(files, {**champion.document, "variant": name}) for name in VARIANTS}


def inject(stack: Stack, made: dict[str, Version]) -> None:
    """From now on the servers of some versions have faults; one server a version, since the machine is small."""
    faults = {made[name].digest: fault for name, fault in FAULTS.items()} | {made["copied"].digest: COPIED}
    table = json.dumps({"base": BASE, "faults": faults})
    program = (HERE / "faulty.py").read_text()
    here = stack.kubectl
    here.apply(_config_map("faults", {"faulty.py": program, "faults.json": table}))
    server = "/spec/predictor/containers/0"
    mount = {"name": "faults", "mountPath": "/etc/faults", "readOnly": True}
    changes = [
        {"op": "replace", "path": "/spec/predictor/minReplicas", "value": 1},
        {"op": "replace", "path": f"{server}/command", "value": ["python", "/etc/faults/faulty.py"]},
        {"op": "replace", "path": f"{server}/resources/requests/cpu", "value": "100m"},
        {"op": "add", "path": f"{server}/volumeMounts/-", "value": mount},
        {
            "op": "add",
            "path": "/spec/predictor/volumes/-",
            "value": {"name": "faults", "configMap": {"name": "faults"}},
        },
    ]
    here("patch", "inferenceservice/fraud", "--type=json", f"--patch={json.dumps(changes)}")


def quicken(stack: Stack, **more: Any) -> None:
    """The rollout's pod with the same settings but for steps that a test can wait for, and what a test adds."""
    settings = yaml.safe_load((ROOT / "manifests" / "settings" / "cluster.yaml").read_text())
    settings["rollout"] |= POLICY | more
    here = stack.kubectl
    here.apply(_config_map("quick-settings", {"cluster.yaml": yaml.safe_dump(settings)}))
    volumes = here.get("deployment/rollout")["spec"]["template"]["spec"]["volumes"]
    at = next(number for number, each in enumerate(volumes) if each["name"] == "settings")
    path = f"/spec/template/spec/volumes/{at}/configMap/name"
    change = [{"op": "replace", "path": path, "value": "quick-settings"}]
    here("patch", "deployment/rollout", "--type=json", f"--patch={json.dumps(change)}")
    # A pod reads its settings when it starts.
    here("rollout", "restart", "deployment/rollout")
    here("rollout", "status", "deployment/rollout", "--timeout=180s")


def way_in(stack: Stack) -> str:
    """Where the gateway listens, inside the cluster."""
    deadline = time.monotonic() + 120
    while True:
        conditions = stack.kubectl.get("gateway/sluice").get("status", {}).get("conditions", [])
        if any(each["type"] == "Programmed" and each["status"] == "True" for each in conditions):
            return f"http://{gateway.service_of(stack.cluster, NAMESPACE, 'sluice')}/v1/models/fraud:predict"
        assert time.monotonic() < deadline, f"the gateway is not programmed: {conditions}"
        time.sleep(0.5)


def _is_steady(log: Path) -> bool:
    last = [json.loads(line) for line in log.read_text().splitlines(keepends=True)[-int(RATE) :] if line.endswith("\n")]
    return len(last) >= RATE - 1 and all(one["status"] == 200 and one["seconds"] < 1 for one in last)


def _wait_until(check: Callable[[], bool], what: str, sender: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert sender.poll() is None, "nobody sends requests"
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def _config_map(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}
