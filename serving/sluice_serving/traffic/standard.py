"""Traffic on KServe in Standard mode: an InferenceService a version, and one HTTPRoute of ours over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sluice.errors import RequestError
from sluice.rollout import Shadow
from sluice.rollout.traffic import in_tenths, refuse_strangers
from sluice.settings.rollout import OnCluster
from sluice_serving.cluster import Cluster, Document
from sluice_serving.exits import REFUSED
from sluice_serving.traffic import route as routes
from sluice_serving.traffic import versions
from sluice_serving.traffic.observed import MetricsObserver
from sluice_serving.traffic.pods import Pods
from sluice_serving.traffic.versions import short

_POLL, _ROUTE_SECONDS = 0.5, 30.0
_NO_ROUTE = {"networking.kserve.io/visibility": "cluster-local"}
"""KServe makes no route of its own for an InferenceService with this label; it is asked of no other one."""


class StandardTraffic:
    """Versions of a model in one namespace.

    Args:
        model: its name: of the template InferenceService, and of the route.
        sleep: waits that many seconds.
        seconds: a clock that only goes forward.
    """

    def __init__(
        self,
        cluster: Cluster,
        model: str,
        place: OnCluster,
        *,
        sleep: Callable[[float], None] = time.sleep,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._model, self._place = cluster, model, place
        self._namespace = place.namespace or cluster.namespace
        self._sleep, self._seconds = sleep, seconds
        self._pods = Pods(cluster, self._namespace, model)

    @property
    def endpoint(self) -> str:
        """A name of the route, or the gateway's address."""
        if self._place.hostnames:
            return f"http://{self._place.hostnames[0]}"
        namespace = self._place.gateway_namespace or self._namespace
        found = self._cluster.get(f"{routes.GROUP}/namespaces/{namespace}/gateways/{self._place.gateway}")
        addresses = (found or {}).get("status", {}).get("addresses", [])
        if found is None or not addresses:
            raise RequestError(
                f"gateway {self._place.gateway} in {namespace} has no address", hint="see `sluice doctor --cluster`"
            )
        return f"http://{addresses[0]['value']}:{found['spec']['listeners'][0]['port']}"

    def prepare(self, version: str) -> None:
        """Have a version's InferenceService as the template says now, and wait until it is ready.

        One that was not there before and does not get ready is deleted again.
        """
        document = versions.of_version(self._template(), version, versions.name_of(self._model, version))
        document["metadata"]["labels"] |= _NO_ROUTE
        path = self._path(version)
        fresh = self._cluster.get(path) is None
        self._cluster.apply(path, document)
        try:
            self._wait_ready(version, document)
        except RequestError:
            if fresh:
                self._cluster.delete(path)
            raise

    def weights(self) -> dict[str, float]:
        """Percent of the requests by version, as the route has it."""
        given = routes.weights_of(self._cluster.get(self._route_path()))
        return {version: given.get(versions.service_of(self._model, version), 0) for version in self._versions()}

    def set_weights(self, weights: Mapping[str, float], shadow: Shadow | None = None) -> None:
        """Split the requests, and have them copied; returns when the gateway has it."""
        known = self._versions()
        refuse_strangers(weights, shadow, known)
        in_tenths(weights)
        before = self.weights()
        fresh = {version for version, weight in weights.items() if weight and not before[version]}
        for version in fresh | ({shadow.version} if shadow else set()):
            if not versions.is_ready(known[version]):
                raise RequestError(f"{short(version)} is not ready", hint="prepare a version before it gets weight")
        self._write_route({version: weights.get(version, 0) for version in known}, shadow)

    def retire(self, version: str) -> None:
        """Take a version out of the route, give its requests in flight their time, and delete it."""
        weights = self.weights()
        if version not in weights:
            return
        if weights[version]:
            raise RequestError(f"{short(version)} still has {weights[version]:g} %", hint="give it weight 0 first")
        # A route that names a Service which is gone answers with errors.
        self._write_route({other: weight for other, weight in weights.items() if other != version})
        self._sleep(self._place.request_timeout.total_seconds())
        self._cluster.delete(self._path(version))

    def observer(self) -> MetricsObserver:
        """What the rollout watches: the metrics of the versions' pods."""
        return MetricsObserver(self._pods.metrics)

    def _wait_ready(self, version: str, document: Document) -> None:
        deadline, path = self._seconds() + self._place.ready_within.total_seconds(), self._path(version)
        while True:
            found = self._cluster.get(path)
            if found is None:
                # It was on its way out, with its template, when it was applied.
                found = self._cluster.apply(path, document)
            leaving = "deletionTimestamp" in found["metadata"]
            if versions.is_ready(found) and not leaving:
                return
            trouble = self._pods.trouble(version)
            if trouble is not None and trouble.exit_code == REFUSED:
                raise RequestError(f"its server refuses it: {trouble.said}", hint="`sluice verify` checks the store")
            if self._seconds() > deadline:
                why = trouble.said if trouble else "KServe does not say that it is ready"
                name = versions.name_of(self._model, version)
                raise RequestError(
                    f"{name} is not ready after {self._place.ready_within}: {why}",
                    hint=f"kubectl -n {self._namespace} describe inferenceservice {name}",
                )
            self._sleep(_POLL)

    def _write_route(self, weights: Mapping[str, float], shadow: Shadow | None = None) -> None:
        explained = [version for version, found in self._versions().items() if "explainer" in found["spec"]]
        wanted = routes.route(self._template(), self._place, weights, shadow, explained)
        path = self._route_path()
        found = self._cluster.get(path)
        if not routes.is_as_wanted(found, wanted) or not routes.in_effect(found):
            self._cluster.apply(path, wanted)
        deadline = self._seconds() + _ROUTE_SECONDS
        while not routes.in_effect(found := self._cluster.get(path)):
            if self._seconds() > deadline:
                raise RequestError(f"route {self._model}: {routes.why_not(found)}", hint="sluice doctor --cluster")
            self._sleep(0.05)

    def _template(self) -> Document:
        found = self._cluster.get(self._inferenceservices(self._model))
        if found is None:
            raise RequestError(
                f"there is no InferenceService {self._model} in {self._namespace} to make versions after",
                hint="kubectl apply --server-side -k manifests/overlays/…",
            )
        return found

    def _versions(self) -> dict[str, Document]:
        found = self._cluster.items(f"{self._inferenceservices()}?labelSelector={versions.selector(self._model)}")
        return {versions.version_of(one): one for one in found if "deletionTimestamp" not in one["metadata"]}

    def _path(self, version: str) -> str:
        return self._inferenceservices(versions.name_of(self._model, version))

    def _inferenceservices(self, name: str = "") -> str:
        path = f"{versions.GROUP}/namespaces/{self._namespace}/inferenceservices"
        return f"{path}/{name}" if name else path

    def _route_path(self) -> str:
        return f"{routes.GROUP}/namespaces/{self._namespace}/httproutes/{self._model}"
