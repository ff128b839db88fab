"""What the settings name: store, credentials, keys, Redis, Kubeflow's model registry."""

from __future__ import annotations

import os
import secrets
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from sluice.errors import RegistryError, SluiceError
from sluice.registry import Keys
from sluice.settings import UseCase
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store
from sluice.storage.opening import CREDENTIAL_SOURCES
from sluice_cli.doctor.finding import Findings

ANSWER_WITHIN = 5.0


def look_at_places(findings: Findings, use_case: UseCase) -> None:
    """Store, credentials, keys, online store and model registry of a use case."""
    if _reachable(findings, "store", use_case.storage.endpoint):
        _credentials(findings, use_case.storage)
        with findings.told("store"):
            _store(findings, open_store(use_case.storage))
    _keys(findings, Path(use_case.storage.keys))
    _online(findings, use_case)
    if use_case.storage.model_registry:
        _model_registry(findings, use_case.storage.model_registry)


def service_of(address: str | None) -> tuple[str, str] | None:
    """Name and namespace of the cluster's Service that an address (URL or host:port) is, if it is one."""
    host = (urlsplit(address).hostname if address and "://" in address else (address or "").split(":")[0]) or ""
    name, _, rest = host.partition(".")
    namespace, _, kind = rest.partition(".")
    return (name, namespace) if kind in ("svc", "svc.cluster.local") else None


def _reachable(findings: Findings, what: str, address: str | None) -> bool:
    """False for an address inside of a cluster that this machine is not in: `--cluster` looks for its Service."""
    if service_of(address) is None:
        return True
    host = urlsplit(address).hostname if "://" in str(address) else str(address).split(":")[0]
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        advice = "`--cluster` looks for its Service; to try it from here, port-forward it and lay its address over"
        findings.warn(what, f"{address} is inside the cluster, and this machine is not", advice)
        return False
    return True


def _credentials(findings: Findings, storage: Storage) -> None:
    if not storage.url.startswith("s3://"):
        return
    found = [name for name in CREDENTIAL_SOURCES if os.environ.get(name)]
    if found:
        findings.ok("credentials", f"from {found[0]}")
    elif storage.endpoint:
        findings.miss("credentials", "none", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a web identity")
    else:
        findings.warn("credentials", "none in the environment", "the machine's own role is tried")


def _store(findings: Findings, store: Store) -> None:
    """Puts an object of its own twice, and takes it away."""
    next(iter(store.keys("registry")), None)
    findings.ok("store", f"{store.url} answers")
    key = f"checkpoints/doctor-{secrets.token_hex(8)}"
    try:
        first = store.put_if_absent(key, b"first")
    except SluiceError as error:
        findings.warn("store: writing", error.message, "right for a server; else use the keys of a role that writes")
        return
    try:
        if first and not store.put_if_absent(key, b"second") and store.get(key) == b"first":
            findings.ok("store: put-if-absent", "of two writers one wins")
        else:
            findings.miss(
                "store: put-if-absent",
                "a second writer overwrote the first",
                "use an S3 that honours If-None-Match: two gates could decide at once",
            )
    finally:
        try:
            store.purge(key)
        except SluiceError as error:
            findings.warn("store: cleaning up", error.message, f"remove {store.url}/{key}")


def _keys(findings: Findings, folder: Path) -> None:
    try:
        keys = Keys.open(folder)
    except RegistryError as error:
        findings.warn("the gate's keys", error.message, error.hint)
        return
    able = "signs and checks" if keys.private else "checks; the private key is elsewhere"
    findings.ok("the gate's keys", f"{folder}: {len(keys.public)} trusted, {able}")


def _online(findings: Findings, use_case: UseCase) -> None:
    online = use_case.features.online
    if use_case.features.repo is None or online.store != "redis" or online.address is None:
        return
    if not _reachable(findings, "Redis", online.address):
        return
    import redis

    from sluice.features.redis_rows import PASSWORD, connect

    try:
        with connect(online.address) as client:
            client.ping()
            version = client.info("server")["redis_version"]
    except redis.AuthenticationError as error:
        findings.miss("Redis", f"{online.address}: {error}", f"set {PASSWORD}")
    except redis.RedisError as error:
        findings.miss("Redis", f"{online.address} does not answer: {error}", "start it, or correct features.online")
    else:
        findings.ok("Redis", f"{online.address}, version {version}")


def _model_registry(findings: Findings, address: str) -> None:
    # Servers up to 0.3.14 know the second alone: sluice.registry.kubeflow_client.
    said = ""
    for version in ("v1", "v1alpha3"):
        url = f"{address.rstrip('/')}/api/model_registry/{version}/registered_models?pageSize=1"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_WITHIN):
                findings.ok("model registry", f"{address} answers, API {version}")
                return
        except (OSError, ValueError) as error:
            said = str(error)
    advice = "correct storage.model_registry; without it versions are only in the store"
    findings.warn("model registry", f"{address}: {said}", advice)
