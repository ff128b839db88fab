"""Runs a compiled package's steps as pods, one after another as the graph wants it.

What of Kubeflow stands beside it, and what does not, is said in `graph.py`, `launcher.py` and `manifest.py`.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.kubeflow import launcher
from tests.cluster.kubeflow.graph import Package, Step, Values
from tests.cluster.kubeflow.manifest import pod
from tools.cluster.kubectl import Kubectl

LAUNCHER = "kfp-launcher-program"


class StepFailedError(Exception):
    """A step's pod failed in every try; the message is the end of its log."""

    def __init__(self, step: str, log: str) -> None:
        super().__init__(f"{step}: {log}")
        self.step, self.log = step, log


@dataclass
class Pods:
    """Runs packages in a namespace.

    Args:
        root: pipeline root, an `s3://` address.
        endpoint: address of S3 as pods see it.
        account: the service account of the steps.
    """

    kubectl: Kubectl
    namespace: str
    root: str
    endpoint: str
    account: str
    seconds: float = 900.0
    tries: int | None = None
    ran: list[str] = field(default_factory=list)

    def run(self, package: Package, **arguments: Any) -> dict[str, Values]:
        """Run the package; returns the outputs of the tasks at the root."""
        program = Path(launcher.__file__).read_text()
        metadata = {"name": LAUNCHER, "namespace": self.namespace}
        data = {"launcher.py": program}
        self.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        run = f"{self.root}/{package.name}/{uuid.uuid4()}"
        return package.run(lambda step: self.execute(step, run), **arguments)

    def execute(self, step: Step, run: str) -> Values:
        """Run one step, again where it fails and the package asks for that."""
        log = ""
        for _ in range(1 + (step.retries if self.tries is None else self.tries - 1)):
            asked = json.dumps(executor_input(step, f"{run}/{step.task}/{uuid.uuid4()}"))
            name = f"{step.name.strip('-')[:40]}-{uuid.uuid4().hex[:8]}"
            document = pod(step, name, asked, account=self.account, launcher=LAUNCHER, endpoint=self.endpoint)
            phase, log = self._finished(name, document)
            if phase == "Succeeded":
                self.ran.append(step.name)
                return _outputs(log)
        raise StepFailedError(step.name, log[-2000:])

    def _finished(self, name: str, document: dict[str, Any]) -> tuple[str, str]:
        here = self.kubectl.in_namespace(self.namespace)
        here("create", "--filename=-", given=json.dumps(document))
        begun, phase = time.monotonic(), "Pending"
        while phase in ("Pending", "Running"):
            if time.monotonic() > begun + self.seconds:
                raise StepFailedError(name, here("describe", "pod", name))
            time.sleep(0.5)
            phase = here("get", "pod", name, "--output=jsonpath={.status.phase}")
        print(f"{name}: {phase} after {time.monotonic() - begun:.0f} s")
        return phase, here("logs", name)


def executor_input(step: Step, place: str) -> dict[str, Any]:
    """The message that tells a step its inputs and where its outputs go."""
    outputs = step.component.get("outputDefinitions", {})
    return {
        "inputs": {
            "parameterValues": step.inputs.parameters,
            "artifacts": {name: {"artifacts": one} for name, one in step.inputs.artifacts.items()},
        },
        "outputs": {
            "parameters": {name: {"outputFile": f"/tmp/kfp/outputs/{name}"} for name in outputs.get("parameters", {})},
            "artifacts": {
                name: {"artifacts": [{"name": name, "type": one["artifactType"], "uri": f"{place}/{name}"}]}
                for name, one in outputs.get("artifacts", {}).items()
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }


def _outputs(log: str) -> Values:
    line = next(line for line in reversed(log.splitlines()) if line.startswith("::outputs::"))
    said = json.loads(line.removeprefix("::outputs::"))
    return Values(said["parameters"], said["artifacts"])
