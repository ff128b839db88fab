"""Who may ask, through the real Envoy Gateway: the overlay `standard` with its option turned on, tokens of the real
API server, and forged ones.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from objects import Object, pod, service
from servers import certificate

from tests.manifests.rendered import Document, of_kind, turned_on
from tools.cluster import gateway
from tools.cluster.cluster import Cluster
from tools.cluster.kubectl import Kubectl, RefusedError
from tools.cluster.places import MANIFESTS
from tools.cluster.relay import Relay

HOST = "sluice.example.com"
PATH = "/v1/models/fraud:predict"
AUDIENCE = "sluice"
STARTS_WITHIN = 90.0


class Endpoint:
    """The gateway of the overlay, in a namespace of its own, with the echo server for the model."""

    def __init__(self, cluster: Cluster, folder: Path, namespace: str) -> None:
        self.cluster, self.folder, self.namespace = cluster, folder, namespace
        self.kubectl = cluster.kubectl.in_namespace(namespace)
        self.issuer = json.loads(cluster.kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
        self.tls = certificate(folder / "tls", HOST)
        self.port = 0

    def caller(self, name: str) -> str:
        """What a ServiceAccount's tokens call it."""
        return f"system:serviceaccount:{self.namespace}:{name}"

    def objects(self) -> list[Object]:
        """What a user applies, cut down to gateway and policy, and a route that is labelled as ours."""
        overlay = turned_on(self.folder, "standard", "gateway-auth", "gateway-auth-jwks")
        settings: Document = yaml.safe_load((overlay / "auth.yaml").read_text())
        settings["spec"] |= {"issuer": self.issuer, "audiences": [AUDIENCE], "callers": [self.caller("payments")]}
        (overlay / "auth.yaml").write_text(yaml.safe_dump(settings))
        rendered = tuple(yaml.safe_load_all(self.kubectl("kustomize", str(overlay))))
        found = [*of_kind(rendered, "Gateway", "SecurityPolicy"), self.route()]
        return [{**each, "metadata": {**each["metadata"], "namespace": self.namespace}} for each in found]

    def route(self) -> Object:
        """To the echo server, under the paths of both protocols."""
        paths = [("Exact", PATH), ("PathPrefix", "/v2/models/fraud")]
        rule = {
            "matches": [{"path": {"type": kind, "value": path}} for kind, path in paths],
            "backendRefs": [{"name": "echo", "port": 80}],
        }
        labels = {"app.kubernetes.io/part-of": "sluice"}
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "fraud", "labels": labels},
            "spec": {"parentRefs": [{"name": "sluice"}], "rules": [rule]},
        }

    def token(self, account: str, audience: str = AUDIENCE) -> str:
        """As a pod of this account has it, or a person gets it."""
        return self.kubectl("create", "token", account, f"--audience={audience}").strip()

    def signed(self, key: rsa.RSAPrivateKey, **changes: Any) -> str:
        """A token that says what the API server's for `payments` say, but where changed."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": self.caller("payments"), "aud": [AUDIENCE], "iat": now, "exp": now + 600}
        head = {"alg": "RS256", "typ": "JWT"}
        parts = [_base64(json.dumps(part).encode()) for part in (head, {**claims, **changes})]
        signature = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, _base64(signature)])

    def own_key(self) -> rsa.RSAPrivateKey:
        """The one with which the API server signs."""
        read = (self.cluster.home.keys / "tokens.key").read_bytes()
        key = serialization.load_pem_private_key(read, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key

    def ask(self, token: str | None = None, path: str = PATH) -> tuple[int, str]:
        """Status and body of one request over TLS; 0 where nothing answers yet."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        names = {"server_hostname": HOST, "assert_hostname": HOST, "ca_certs": str(self.tls.authority)}
        with urllib3.HTTPSConnectionPool("127.0.0.1", self.port, retries=False, timeout=10, **names) as pool:  # type: ignore[arg-type]
            try:
                answer = pool.request("POST", path, body=b"{}", headers={**headers, "Host": HOST})
            except urllib3.exceptions.HTTPError as error:
                return 0, str(error)
        return answer.status, answer.data.decode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def endpoint(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Everything up; before the issuer's keys are there nobody gets through, and that is seen first."""
    gateway.install(cluster)
    namespace = f"test-{secrets.token_hex(4)}"
    here = Endpoint(cluster, tmp_path_factory.mktemp("auth"), namespace)
    cluster.kubectl("create", "namespace", namespace)
    with ExitStack() as ending:
        ending.callback(cluster.kubectl, "delete", "namespace", namespace, "--wait=false")
        for account in ("payments", "marketing"):
            here.kubectl("create", "serviceaccount", account)
        pair = [f"--cert={here.tls.certificate}", f"--key={here.tls.key}"]
        here.kubectl("create", "secret", "tls", "sluice-tls", *pair)
        cluster.kubectl.apply(pod(namespace, "echo"), service(namespace, "echo"), *here.objects())
        here.kubectl("wait", "--for=condition=Programmed", "gateway/sluice", "--timeout=120s")
        here.kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=60s")
        address = gateway.service_of(cluster, namespace, "sluice")
        relay = ending.enter_context(Relay(cluster.namespace, address, 443))
        here.port = int(relay.address.rpartition(":")[2])
        without_keys = _until_it_answers(here)
        assert without_keys >= 400, "without the issuer's keys somebody gets through"
        _hand_over_the_keys(here)
        yield here


def _until_it_answers(here: Endpoint) -> int:
    deadline = time.monotonic() + STARTS_WITHIN
    while (status := here.ask(here.token("payments"))[0]) in (0, 404) and time.monotonic() < deadline:
        time.sleep(0.3)
    return status


def _hand_over_the_keys(here: Endpoint) -> None:
    """As docs/gateway-auth.md says it."""
    keys = here.cluster.kubectl("get", "--raw", "/openid/v1/jwks")
    here.kubectl("create", "configmap", "sluice-jwks", "--from-file=jwks=/dev/stdin", given=keys)
    deadline = time.monotonic() + STARTS_WITHIN
    while (last := here.ask(here.token("payments")))[0] != 200:
        assert time.monotonic() < deadline, f"the named caller is not let through: {last}"
        time.sleep(0.3)


def test_a_named_caller_is_answered(endpoint: Endpoint) -> None:
    assert endpoint.ask(endpoint.token("payments")) == (200, "{}")
    assert endpoint.ask(endpoint.signed(endpoint.own_key())) == (200, "{}")


def test_without_a_token_nobody_is_answered(endpoint: Endpoint) -> None:
    assert endpoint.ask()[0] == 401
    assert endpoint.ask("not.a.token")[0] == 401
    assert endpoint.ask(path="/v2/models/fraud/infer")[0] == 401


def test_an_expired_token_is_refused(endpoint: Endpoint) -> None:
    # Envoy grants a minute for clocks that differ.
    assert endpoint.ask(endpoint.signed(endpoint.own_key(), exp=int(time.time()) - 120))[0] == 401


def test_a_token_that_somebody_else_signed_is_refused(endpoint: Endpoint) -> None:
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert endpoint.ask(endpoint.signed(forger))[0] == 401


def test_a_token_whose_claims_were_changed_is_refused(endpoint: Endpoint) -> None:
    head, _, signature = endpoint.token("marketing").split(".")
    _, claims, _ = endpoint.token("payments").split(".")
    assert endpoint.ask(f"{head}.{claims}.{signature}")[0] == 401


def test_an_unsigned_token_is_refused(endpoint: Endpoint) -> None:
    _, claims, _ = endpoint.token("payments").split(".")
    head = _base64(b'{"alg":"none","typ":"JWT"}')
    assert endpoint.ask(f"{head}.{claims}.")[0] == 401


def test_a_token_for_another_service_is_refused(endpoint: Endpoint) -> None:
    # Envoy's word for it is 403: who asks is known, and the token is not for us.
    assert endpoint.ask(endpoint.token("payments", audience="elsewhere"))[0] == 403


def test_a_token_of_another_issuer_is_refused(endpoint: Endpoint) -> None:
    assert endpoint.ask(endpoint.signed(endpoint.own_key(), iss="https://elsewhere.example.com"))[0] == 401


def test_a_caller_who_is_not_named_is_told_so(endpoint: Endpoint) -> None:
    assert endpoint.ask(endpoint.token("marketing"))[0] == 403


def test_istios_variant_is_taken_by_the_api_server_with_istios_definitions(kubectl: Kubectl, tmp_path: Path) -> None:
    definitions = [each for each in yaml.safe_load_all((MANIFESTS / "istio.yaml").read_text()) if each]
    ours = [each for each in definitions if each["spec"]["group"] == "security.istio.io"]
    kubectl.apply(*ours, options=["--validate=false"])
    kubectl(
        "wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{each['metadata']['name']}" for each in ours)
    )
    overlay = turned_on(tmp_path, "existing", "gateway-auth-istio")
    rendered = tuple(yaml.safe_load_all(kubectl("kustomize", str(overlay))))
    checks, rights = (of_kind(rendered, kind)[0] for kind in ("RequestAuthentication", "AuthorizationPolicy"))
    said = kubectl.apply(checks, rights, options=["--dry-run=server"])
    assert said.count("serverside-applied") == 2
    rights["spec"]["action"] = "MAYBE"
    with pytest.raises(RefusedError, match="Unsupported value"):
        kubectl.apply(rights, options=["--dry-run=server"])
