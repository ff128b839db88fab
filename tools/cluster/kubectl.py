"""kubectl, inside the cluster's network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.errors import ClusterError
from tools.cluster.places import PROGRAMS

Object = dict[str, Any]


class RefusedError(ClusterError):
    """kubectl ended with an error; the message is what it, or the API server, said."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig, or in the name of somebody else."""

    kubeconfig: Path
    wrap: Callable[[Sequence[str]], list[str]] = list
    options: tuple[str, ...] = ()

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """What it prints. Raises RefusedError with what it says when it fails."""
        command = self.wrap([str(PROGRAMS / "kubectl"), f"--kubeconfig={self.kubeconfig}", *self.options, *arguments])
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RefusedError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def as_service_account(self, namespace: str, name: str) -> Kubectl:
        """The same, with that account's rights and no others."""
        options = (f"--as=system:serviceaccount:{namespace}:{name}", f"--namespace={namespace}")
        return Kubectl(self.kubeconfig, self.wrap, options)

    def in_namespace(self, namespace: str) -> Kubectl:
        """The same, for that namespace where none is named."""
        return Kubectl(self.kubeconfig, self.wrap, (*self.options, f"--namespace={namespace}"))

    def get(self, *arguments: str) -> Any:
        """An object, or a list's items."""
        found = json.loads(self("get", *arguments, "--output=json"))
        return found["items"] if found["kind"].endswith("List") else found

    def apply(self, *objects: Object, options: Sequence[str] = ()) -> str:
        """Apply on the server's side, so that no object is too large for an annotation."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self("apply", "--server-side", "--force-conflicts", *options, "--filename=-", given=manifest)
