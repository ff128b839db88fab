"""The one HTTPRoute of a model: its weights are the traffic, whatever implements the Gateway API."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sluice.rollout import Shadow
from sluice.rollout.traffic import in_tenths
from sluice.settings.base import format_duration
from sluice.settings.rollout import OnCluster
from sluice_serving.cluster import WRITER, Document
from sluice_serving.traffic.versions import MANAGER, NAME, explainer_of, owner, service_of

GROUP = "/apis/gateway.networking.k8s.io/v1"
_CORE = {"group": "", "kind": "Service", "port": 80}


def route(
    template: Document,
    place: OnCluster,
    weights: Mapping[str, float],
    shadow: Shadow | None = None,
    explained: Collection[str] = (),
) -> Document:
    """The route over the predictors' Services, ours to write as a whole.

    Args:
        template: the model's InferenceService, which it belongs to.
        weights: percent by version.
        shadow: who gets copies of the requests.
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
    named = in_parts(weights)
    backends = [{**_CORE, "name": service_of(model, version), "weight": named[version]} for version in weights]
    rule = {
        "matches": paths,
        **({"filters": [_mirror(model, shadow)]} if shadow else {}),
        "timeouts": {"request": format_duration(place.request_timeout)},
        "backendRefs": backends,
    }
    rules = [rule, _explain_rule(model, place, {v: part for v, part in named.items() if v in explained})]
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


def _explain_rule(model: str, place: OnCluster, parts: Mapping[str, int]) -> Document:
    backends = [{**_CORE, "name": explainer_of(model, version), "weight": part} for version, part in parts.items()]
    return {
        "matches": [{"path": {"type": "Exact", "value": f"/v1/models/{model}:explain"}}],
        "timeouts": {"request": format_duration(place.explain_timeout)},
        "backendRefs": backends,
    }


def in_parts(weights: Mapping[str, float]) -> dict[str, int]:
    """Weights as a route has them: percents, or tenths of them where one is no whole percent."""
    tenths = in_tenths(weights)
    whole = all(part % 10 == 0 for part in tenths.values())
    return {version: part // 10 if whole else part for version, part in tenths.items()}


def is_as_wanted(found: Document | None, wanted: Document) -> bool:
    """Whether the route gives every Service what it should have."""
    return all(read(found) == read(wanted) for read in (weights_of, shadow_of, _explainers))


def weights_of(found: Document | None) -> dict[str, float]:
    """Percents by predictor Service, as the route has them."""
    parts = {each["name"]: each.get("weight", 1) for rule in _rules(found)[:1] for each in rule.get("backendRefs", [])}
    whole = sum(parts.values()) or 1
    return {name: round(100 * part / whole, 1) for name, part in parts.items()}


def shadow_of(found: Document | None) -> tuple[str, int] | None:
    """The Service that gets copies, and of how many percent of the requests."""
    for each in (one for rule in _rules(found) for one in rule.get("filters", []) if one["type"] == "RequestMirror"):
        return each["requestMirror"]["backendRef"]["name"], each["requestMirror"].get("percent", 100)
    return None


def _explainers(found: Document | None) -> dict[str, int]:
    return {each["name"]: each["weight"] for rule in _rules(found)[1:] for each in rule["backendRefs"]}


def _rules(found: Document | None) -> list[Document]:
    rules: list[Document] = found["spec"].get("rules", []) if found else []
    return rules


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


def _mirror(model: str, shadow: Shadow) -> Document:
    """The gateway sends copies and waits for no answer to them."""
    backend = {**_CORE, "name": service_of(model, shadow.version)}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": shadow.percent}}


def _taken(parent: Document, generation: int) -> bool:
    conditions = {each["type"]: each for each in parent.get("conditions", [])}
    wanted = [conditions.get(kind) for kind in ("Accepted", "ResolvedRefs")]
    return all(
        each is not None and each["status"] == "True" and each.get("observedGeneration", generation) >= generation
        for each in wanted
    )
