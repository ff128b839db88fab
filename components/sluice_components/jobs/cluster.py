"""Custom objects in the namespace that this process runs in."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sluice.errors import PipelineError

Object = dict[str, Any]
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Kind:
    """A custom resource: its group and version, and its name in addresses."""

    group: str
    version: str
    plural: str


@dataclass(frozen=True)
class Cluster:
    """The API server, as a pod's account or a kubeconfig file (`KUBECONFIG`) may use it."""

    namespace: str
    api: Any

    @staticmethod
    def here() -> Cluster:
        """The cluster that this process runs in, or that `KUBECONFIG` names.

        Raises:
            PipelineError: there is none.
        """
        from kubernetes import client, config

        try:
            if os.environ.get("KUBECONFIG"):
                config.load_kube_config()
            else:
                config.load_incluster_config()
        except config.ConfigException as error:
            raise PipelineError(
                f"a job is to be made, and there is no Kubernetes here: {error}",
                "submit the run to a cluster, or set training.distributed.engine to torchrun or none",
            ) from None
        namespace = _NAMESPACE.read_text().strip() if _NAMESPACE.exists() else os.environ.get("NAMESPACE", "default")
        return Cluster(namespace, client.CustomObjectsApi())

    def create(self, kind: Kind, made: Object) -> bool:
        """Create it; False where one of its name is there already.

        Raises:
            PipelineError: the API server refuses, with what it says.
        """
        found = self._ask("create_namespaced_custom_object", kind, made, unless=HTTPStatus.CONFLICT)
        return found is not None

    def read(self, kind: Kind, name: str) -> Object | None:
        """The object, or None."""
        return self._ask("get_namespaced_custom_object", kind, name, unless=HTTPStatus.NOT_FOUND)

    def delete(self, kind: Kind, name: str) -> None:
        """Remove it and what was made of it, if it is there."""
        options = {"propagation_policy": "Background"}
        self._ask("delete_namespaced_custom_object", kind, name, unless=HTTPStatus.NOT_FOUND, **options)

    def _ask(self, verb: str, kind: Kind, *arguments: Any, unless: HTTPStatus, **options: Any) -> Object | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        call = getattr(self.api, verb)
        try:
            found: Object = call(kind.group, kind.version, self.namespace, kind.plural, *arguments, **options)
            return found
        except ApiException as error:
            if error.status == unless:
                return None
            raise PipelineError(
                f"the API server refuses {kind.plural}.{kind.group} in {self.namespace}: {_said(error)}",
                "docs/scaling.md names the definitions and the rights that it takes",
            ) from error
        except HTTPError as error:
            raise PipelineError(f"the API server does not answer: {error}", "run the step again") from error


def _said(error: Any) -> str:
    """The API server's own sentence."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.body or error.reason)
