"""A cluster's API server, asked by the kubeconfig that kubectl uses, or by a pod's own account."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from sluice.errors import SluiceError

ANSWER_WITHIN = 10.0
WRITER = "sluice-rollout"
"""The name under which fields are owned that are written here."""
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
Document = dict[str, Any]


class ClusterError(SluiceError):
    """The API server is not there, or refuses."""


class ForbiddenError(ClusterError):
    """This account may not."""


class Cluster:
    """Documents of an API server.

    Attributes:
        inside: whether this process is a pod of the cluster, so that it reaches other pods.
        namespace: the pod's own, or the context's.
    """

    def __init__(self, client: Any, *, inside: bool = False, namespace: str = "default") -> None:
        self._client = client
        self.inside, self.namespace = inside, namespace

    @staticmethod
    def open(context: str | None = None) -> Cluster:
        """The cluster of the current context ($KUBECONFIG, ~/.kube/config, then a pod's account).

        Raises:
            ClusterError: no configuration names one.
        """
        from kubernetes import client, config

        configuration = client.Configuration()
        configuration.retries = False
        path = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
        try:
            if any(Path(each).exists() for each in path.split(os.pathsep)):
                config.load_kube_config(path, context, client_configuration=configuration)
                inside, namespace = False, _namespace_of(path, context)
            else:
                config.load_incluster_config(configuration)
                inside, namespace = True, _ACCOUNT.read_text().strip()
        except (config.ConfigException, OSError) as error:
            said = " ".join(str(error).split())
            raise ClusterError(
                f"no cluster is configured: {said}", "set KUBECONFIG, or `kubectl config use-context`"
            ) from None
        return Cluster(client.ApiClient(configuration), inside=inside, namespace=namespace)

    def get(self, path: str) -> Document | None:
        """The document at a path of the API; None when there is none.

        Raises:
            ForbiddenError: this account may not read it.
            ClusterError: the server does not answer.
        """
        return cast("Document | None", self._ask("GET", path))

    def items(self, path: str) -> list[Document]:
        """The items of a list; none where there is no such kind."""
        found: list[Document] = (self.get(path) or {}).get("items", [])
        return found

    def apply(self, path: str, document: Document) -> Document:
        """Make or change an object to hold these fields, which are ours from now on; others stay as they are.

        Raises:
            ClusterError: it is refused, or the server does not answer.
        """
        query = [("fieldManager", WRITER), ("force", "true")]
        answer = self._ask("PATCH", path, query, document, "application/apply-patch+yaml")
        if answer is None:
            raise ClusterError(f"{path}: there is no such kind or namespace", "install KServe and the Gateway API")
        return cast("Document", answer)

    def delete(self, path: str) -> None:
        """Delete an object and what it owns; nothing to do where there is none."""
        self._ask("DELETE", path, [("propagationPolicy", "Background")])

    def text(self, path: str) -> str | None:
        """What a pod's own server answers through the API server's proxy; None where it does not."""
        try:
            return cast("str | None", self._ask("GET", path, kind="str"))
        except ForbiddenError:
            raise
        except ClusterError:
            return None

    def _ask(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Document | None = None,
        content: str | None = None,
        kind: str = "object",
    ) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json" if kind == "object" else "*/*"}
        headers |= {"Content-Type": content} if content else {}
        try:
            answer, _, _ = self._client.call_api(
                path,
                method,
                query_params=query or [],
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                response_type=kind,
                _request_timeout=ANSWER_WITHIN,
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise _refusal(path, error) from None
        except HTTPError as error:
            host = self._client.configuration.host
            raise ClusterError(f"{host} does not answer: {type(error).__name__}", "check the address") from None
        return answer


def _refusal(path: str, error: Any) -> ClusterError:
    try:
        said = str(json.loads(error.body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        said = str(error.reason)
    if error.status in (401, 403):
        return ForbiddenError(f"{path}: {said}", "use an account that may")
    return ClusterError(f"{path}: {error.status} {said}", "check the API server")


def _namespace_of(path: str, context: str | None) -> str:
    from kubernetes import config

    contexts, active = config.list_kube_config_contexts(path)
    chosen = next((one for one in contexts if one["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")
