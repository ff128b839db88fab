"""Who may ask: what the overlays hold once the option is turned on, and that it follows their `auth.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.rendered import MANIFESTS, Document, named, of_kind, overlay, render, turned_on

OVERLAYS = ["standard", "existing"]
PLACEHOLDER = "set-by-auth-yaml"


@pytest.fixture(params=OVERLAYS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def settings(name: str, **changes: Any) -> Document:
    """An overlay's auth.yaml, changed where said."""
    document: Document = yaml.safe_load((MANIFESTS / "overlays" / name / "auth.yaml").read_text())
    document["spec"] |= changes
    return document


def test_without_the_option_nothing_is_added_and_the_settings_are_not_applied(name: str) -> None:
    assert not of_kind(overlay(name), "GatewayAuth", "SecurityPolicy", "RequestAuthentication", "AuthorizationPolicy")


def test_envoy_gateways_policy_is_what_the_settings_say(name: str, tmp_path: Path) -> None:
    folder = turned_on(tmp_path, name, "gateway-auth")
    changes = {"issuer": "me", "audiences": ["a", "b"], "jwksUri": "https://keys", "claim": "azp", "callers": ["x"]}
    (folder / "auth.yaml").write_text(yaml.safe_dump(settings(name, **changes)))
    documents = render(folder)
    policy = named(documents, "SecurityPolicy", "sluice-callers")["spec"]
    assert policy["jwt"]["providers"] == [
        {"name": "issuer", "issuer": "me", "audiences": ["a", "b"], "remoteJWKS": {"uri": "https://keys"}}
    ]
    (rule,) = policy["authorization"]["rules"]
    assert policy["authorization"]["defaultAction"] == "Deny"
    assert rule["principal"]["jwt"]["claims"] == [{"name": "azp", "valueType": "String", "values": ["x"]}]


def test_every_route_of_ours_is_behind_the_policy(name: str, tmp_path: Path) -> None:
    documents = render(turned_on(tmp_path, name, "gateway-auth"))
    (selector,) = named(documents, "SecurityPolicy", "sluice-callers")["spec"]["targetSelectors"]
    # A route that a rollout writes hands the label of its InferenceService on.
    ours = of_kind(documents, "HTTPRoute", "InferenceService")
    assert ours
    for each in ours:
        assert selector["matchLabels"].items() <= each["metadata"]["labels"].items()


def test_keys_from_a_config_map_take_the_place_of_those_that_are_fetched(name: str, tmp_path: Path) -> None:
    documents = render(turned_on(tmp_path, name, "gateway-auth", "gateway-auth-jwks"))
    (provider,) = named(documents, "SecurityPolicy", "sluice-callers")["spec"]["jwt"]["providers"]
    assert provider["localJWKS"]["valueRef"]["name"] == "sluice-jwks"
    assert "remoteJWKS" not in provider


def test_istios_policies_stand_before_the_servers_and_are_what_the_settings_say(name: str, tmp_path: Path) -> None:
    folder = turned_on(tmp_path, name, "gateway-auth-istio")
    changes = {"issuer": "me", "audiences": ["a"], "istioClaim": "request.auth.claims[azp]", "callers": ["x", "y"]}
    (folder / "auth.yaml").write_text(yaml.safe_dump(settings(name, **changes)))
    documents = render(folder)
    checks = named(documents, "RequestAuthentication", "sluice-callers")["spec"]
    rights = named(documents, "AuthorizationPolicy", "sluice-callers")["spec"]
    (server,) = of_kind(documents, "InferenceService")
    labels = server["spec"]["predictor"]["labels"]
    assert checks["selector"]["matchLabels"].items() <= labels.items()
    assert rights["selector"] == checks["selector"]
    (rule,) = checks["jwtRules"]
    assert (rule["issuer"], rule["audiences"], rule["jwksUri"]) == ("me", ["a"], settings(name)["spec"]["jwksUri"])
    assert rights["rules"][0]["when"] == [{"key": "request.auth.claims[azp]", "values": ["x", "y"]}]


@pytest.mark.parametrize("component", ["gateway-auth", "gateway-auth-istio"])
def test_nothing_is_left_to_be_set(name: str, component: str, tmp_path: Path) -> None:
    assert PLACEHOLDER not in str(render(turned_on(tmp_path, name, component)))
