"""The one HTTPRoute of a model: its weights are the traffic, whatever implements the Gateway API."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sluice.settings.base import format_duration
from sluice.settings.rollout import OnCluster
from sluice_serving.cluster import WRITER, Document
from sluice_serving.traffic.versions import MANAGER, NAME, explainer_of, owner, service_of

GROUP = "/apis/gateway.networking.k8s.io/v1"
_CORE = {"group": "", "kind": "Service", "port": 80}


def route(
    template: Document, place: OnCluster, weights: Mapping[str, int], explained: Collection[str] = ()
) -> Document:
    """The route over the predictors' Services, ours to write as a whole.

    Args:
        template: the model's InferenceService, which it belongs to.
        weights: percent by version.
        explained: versions that have an explainer: those answer `:explain`, by the same weights.
    """
    metadata = template["metadata"]
    model, labels = metadata["name"], metadata.get("labels", {})
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": place.gateway}
    if place.gateway_namespace is not None:
        parent["namespace"] = place.gateway_namespace
    paths = [{"path": {"type": "PathPrefix", "value": f"/{protocol}/models/{model}"}} for protocol in ("v1", "v2")]
    # KServe's V1 puts the verb into the path's last part, which PathPrefix takes for another one.
    paths.append({"path": {"type": "Exact", "value": f"/v1/models/{model}:predict"}})
    backends = [{**_CORE, "name": service_of(model, version), "weight": weight} for version, weight in weights.items()]
    rule = {
        "matches": paths,
        "timeouts": {"request": format_duration(place.request_timeout)},
        "backendRefs": backends,
    }
    rules = [rule, _explain_rule(model, place, {v: weights[v] for v in weights if v in explained})]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": model,
            "namespace": metadata["namespace"],
            "labels": {
                NAME: model,
                MANAGER: WRITER,
                **{key: labels[key] for key in ("app.kubernetes.io/part-of",) if key in labels},
            },
            "ownerReferences": [owner(template)],
        },
        "spec": {
            "parentRefs": [parent],
            **({"hostnames": place.hostnames} if place.hostnames else {}),
            "rules": [each for each in rules if each["backendRefs"]],
        },
    }


def _explain_rule(model: str, place: OnCluster, weights: Mapping[str, int]) -> Document:
    backends = [{**_CORE, "name": explainer_of(model, version), "weight": w} for version, w in weights.items()]
    return {
        "matches": [{"path": {"type": "Exact", "value": f"/v1/models/{model}:explain"}}],
        "timeouts": {"request": format_duration(place.explain_timeout)},
        "backendRefs": backends,
    }


def weights_of(found: Document | None) -> dict[str, int]:
    """Weights by Service, as the route has them."""
    rules = found["spec"].get("rules", []) if found else []
    return {each["name"]: each.get("weight", 1) for rule in rules for each in rule.get("backendRefs", [])}


def in_effect(found: Document | None) -> bool:
    """Whether a gateway has taken the route as it is now."""
    if found is None:
        return False
    generation, parents = found["metadata"]["generation"], found.get("status", {}).get("parents", [])
    return any(_taken(parent, generation) for parent in parents)


def why_not(found: Document | None) -> str:
    """What the gateway says against the route."""
    parents = (found or {}).get("status", {}).get("parents", [])
    said = [each for parent in parents for each in parent.get("conditions", []) if each["status"] != "True"]
    return "; ".join(f"{each['type']}: {each.get('message', '')}" for each in said) or "no gateway has taken it"


def _taken(parent: Document, generation: int) -> bool:
    conditions = {each["type"]: each for each in parent.get("conditions", [])}
    wanted = [conditions.get(kind) for kind in ("Accepted", "ResolvedRefs")]
    return all(
        each is not None and each["status"] == "True" and each.get("observedGeneration", generation) >= generation
        for each in wanted
    )
