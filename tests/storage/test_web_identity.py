"""Rights from a token of the pod instead of keys, from a real token service: MinIO's own, over TLS."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from servers import S3, certificate, minio_program, start_minio

from sluice.errors import StoreError
from sluice.storage import Store, open_store
from sluice.storage.bucket import init_store
from sluice.storage.roles import Places
from sluice.storage.users import ensure_credentials, make_users

BLOB, DECISION = f"blobs/ab/{'ab' * 32}", "registry/fraud/log/00000001.json"


class Issuer:
    """Who says which ServiceAccount a pod has: a key, and the pages on which its public half is found."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, role: str, *, key: rsa.RSAPrivateKey | None = None, lasts: int = 3600) -> str:
        """A token for the role's client."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": f"pod-of-{role}", "aud": client_of(role), "iat": now, "exp": now + lasts}
        head = {"alg": "RS256", "typ": "JWT", "kid": "one"}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        signature = (key or self._key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_base64(signature)}"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _page(self, path: str) -> dict[str, Any]:
        if path.endswith("openid-configuration"):
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/none"}
        public = self._key.public_key().public_numbers()
        n, e = (_base64(number.to_bytes(size, "big")) for number, size in ((public.n, 256), (public.e, 3)))
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": n, "e": e}]}

    def _handler(issuer) -> type[BaseHTTPRequestHandler]:  # noqa: N805  (the handler has a self of its own)
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(issuer._page(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def client_of(role: str) -> str:
    """The audience of a role's tokens."""
    return f"sluice-{role}"


def role_arn(role: str) -> str:
    """What MinIO calls the role that a client's tokens get: a digest of the client's name."""
    return f"arn:minio:iam:::role/{_base64(hashlib.sha1(client_of(role).encode()).digest())}"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.close()


@pytest.fixture(scope="module")
def service(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    folder = tmp_path_factory.mktemp("identity")
    program = minio_program()
    if program is None:
        pytest.skip("a token service is only in a MinIO of our own")
    names = {"CONFIG_URL": f"{issuer.url}/.well-known/openid-configuration"}
    variables = {
        f"MINIO_IDENTITY_OPENID_{name}_{role.upper()}": value
        for role in ("server", "gate")
        for name, value in {**names, "CLIENT_ID": client_of(role), "ROLE_POLICY": f"sluice-{role}"}.items()
    }
    found = start_minio(program, folder / "minio", certificate(folder / "authority"), variables)
    assert found.server is not None
    storage = found.storage("sluice")
    assert init_store(storage, credentials=found.credentials)
    users = ensure_credentials(folder / "roles")
    make_users(storage, Places.of(storage.url), users, credentials=found.credentials)
    open_store(storage, credentials=found.credentials).put(BLOB, b"graph")
    yield found
    found.server.kill()


def as_pod(service: S3, role: str, token: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store as a pod with an annotated ServiceAccount opens it: no keys, a token in a file."""
    (folder / "token").write_text(token)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", role_arn(role))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.endpoint)
    lock = timedelta(days=1)
    return open_store(service.storage("sluice").model_copy(update={"lock": lock}), answer_within=timedelta(seconds=5))


def test_a_pod_has_the_rights_of_its_role_and_no_others(
    service: S3, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = as_pod(service, "server", issuer.token("server"), tmp_path, monkeypatch)
    assert store.get(BLOB) == b"graph"
    with pytest.raises(StoreError, match="may not do this"):
        store.put_if_absent(DECISION, b"{}")


def test_the_gates_pod_writes_a_decision_once_and_it_is_locked(
    service: S3, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = as_pod(service, "gate", issuer.token("gate"), tmp_path, monkeypatch)
    assert store.put_locked(DECISION, b"{}") and not store.put_locked(DECISION, b"another")
    assert store.get(DECISION) == b"{}"
    assert store.versions("registry/fraud/log") == {DECISION: 1}
    (version,) = service.client.list_objects("sluice", prefix=DECISION, include_version=True)
    kept = service.client.get_object_retention("sluice", DECISION, version.version_id)
    assert kept is not None and kept.mode == "GOVERNANCE"


@pytest.mark.parametrize("wrong", ["another role's", "another issuer's", "old"])
def test_a_token_that_is_not_the_roles_opens_nothing(
    service: S3, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    token = {
        "another role's": lambda: issuer.token("gate"),
        "another issuer's": lambda: issuer.token("server", key=rsa.generate_private_key(65537, 2048)),
        "old": lambda: issuer.token("server", lasts=-60),
    }[wrong]()
    store = as_pod(service, "server", token, tmp_path, monkeypatch)
    with pytest.raises(StoreError):
        store.get(BLOB)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
