"""Traffic on KServe in Knative mode: two revisions of one InferenceService, split by `canaryTrafficPercent`.

It is called `MODEL-live` and made after the template, as each version's is in Standard mode. KServe keeps the revision
that had all traffic last beside the newest one, and Knative splits between these two. So there are two versions at
most, and a version of which neither runs comes back as a new revision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sluice.errors import RequestError
from sluice.rollout import Shadow
from sluice.rollout.traffic import in_tenths, refuse_strangers
from sluice.settings.rollout import OnCluster
from sluice_serving.cluster import Cluster, Document
from sluice_serving.exits import REFUSED
from sluice_serving.traffic import versions
from sluice_serving.traffic.observed import MetricsObserver
from sluice_serving.traffic.pods import Pods
from sluice_serving.traffic.versions import short

PREVIOUS = "app.kubernetes.io/previous-version"
"""An annotation: the digest that the revision beside the newest one serves."""
_POLL = 0.5


class KnativeTraffic:
    """The revisions of a model's InferenceService. Arguments as of `StandardTraffic`."""

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
        self._namespace, self._name = place.namespace or cluster.namespace, live_name(model)
        self._sleep, self._seconds = sleep, seconds
        self._pods = Pods(cluster, self._namespace, model)

    @property
    def endpoint(self) -> str:
        """What KServe says."""
        return str((self._live() or {}).get("status", {}).get("url", ""))

    def prepare(self, version: str) -> None:
        """Have the version as the newest revision, at 0 % unless it has traffic already, and ready."""
        found = self._live()
        held = _split(found)
        if found is None:
            self._write(version)
        elif version not in held:
            # What has the traffic now is the revision that KServe keeps.
            self._write(version, 0, max(held, key=lambda each: held[each]))
        elif version != versions.version_of(found):
            return
        try:
            self._wait_ready(version)
        except RequestError:
            if version not in held:
                self._undo(found)
            raise

    def weights(self) -> dict[str, float]:
        """Percent of the requests by version: of the newest revision, and of the one beside it."""
        return dict(_split(self._live()))

    def set_weights(self, weights: Mapping[str, float], shadow: Shadow | None = None) -> None:
        """Split the requests between the two revisions; Knative copies none."""
        found = self._live()
        known = _split(found)
        refuse_strangers(weights, shadow, known)
        if shadow is not None or any(part % 10 for part in in_tenths(weights).values()):
            raise RequestError("Knative copies no requests and splits in whole percents", hint="see rollout.steps")
        assert found is not None, "a version is known by it"
        newest = versions.version_of(found)
        previous = next((version for version in known if version != newest), None)
        self._write(newest, int(weights.get(newest, 0)) if previous else None, previous)

    def retire(self, version: str) -> None:
        """Let a version without weight go: Knative ends the pods of a revision that no traffic names."""
        known = self.weights()
        if version not in known:
            return
        if known[version]:
            raise RequestError(f"{short(version)} still has {known[version]} %", hint="give it weight 0 first")
        # Where it is the newest one, the other becomes that anew: one revision more of the same pods.
        self._write(next(each for each in known if each != version))

    def observer(self) -> MetricsObserver:
        """What the rollout watches: the metrics of the versions' pods."""
        return MetricsObserver(self._pods.metrics)

    def _undo(self, before: Document | None) -> None:
        """As it was before a version that does not get ready."""
        if before is None:
            self._cluster.delete(self._path(self._name))
        else:
            self._write(next(iter(_split(before))))

    def _write(self, version: str, percent: int | None = None, previous: str | None = None) -> None:
        """The version as the newest revision with this percent (None: all), and who is beside it."""
        self._cluster.apply(self._path(self._name), live(self._template(), version, percent, previous))

    def _wait_ready(self, version: str) -> None:
        deadline = self._seconds() + self._place.ready_within.total_seconds()
        while not self._is_ready():
            trouble = self._pods.trouble(version)
            if trouble is not None and trouble.exit_code == REFUSED:
                raise RequestError(f"its server refuses it: {trouble.said}", hint="`sluice verify` checks the store")
            if self._seconds() > deadline:
                why = trouble.said if trouble else "KServe does not say that it is ready"
                raise RequestError(f"{short(version)} is not ready after {self._place.ready_within}: {why}")
            self._sleep(_POLL)

    def _is_ready(self) -> bool:
        found = self._live() or {}
        predictor = found.get("status", {}).get("components", {}).get("predictor", {})
        created, ready = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
        return versions.is_ready(found) and created is not None and created == ready

    def _live(self) -> Document | None:
        return self._cluster.get(self._path(self._name))

    def _template(self) -> Document:
        found = self._cluster.get(self._path(self._model))
        if found is None:
            raise RequestError(
                f"there is no InferenceService {self._model} in {self._namespace} to make versions after",
                hint="kubectl apply --server-side -k manifests/overlays/knative",
            )
        return found

    def _path(self, name: str) -> str:
        return f"{versions.GROUP}/namespaces/{self._namespace}/inferenceservices/{name}"


def live(template: Document, version: str, percent: int | None = None, previous: str | None = None) -> Document:
    """The InferenceService whose newest revision serves a version with this percent, and all where there is none."""
    document = versions.of_version(template, version, live_name(template["metadata"]["name"]))
    if percent is not None and previous is not None:
        document["spec"]["predictor"]["canaryTrafficPercent"] = percent
        document["metadata"]["annotations"] |= {PREVIOUS: previous}
    return document


def live_name(model: str) -> str:
    """The name of the InferenceService that has the traffic."""
    return f"{model}-live"


def _split(found: Document | None) -> dict[str, int]:
    """Percent by version, the older one first."""
    if found is None:
        return {}
    newest = versions.version_of(found)
    previous = found["metadata"].get("annotations", {}).get(PREVIOUS)
    percent = found["spec"]["predictor"].get("canaryTrafficPercent")
    if not previous or percent is None:
        return {newest: 100}
    return {previous: 100 - int(percent), newest: int(percent)}
