"""What a server's surroundings tell it: the store it fetches from, and where the online store is."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.errors import SettingsError
from sluice.settings import UseCase
from sluice.settings.operation import Storage

STORE_URL, STORE_ENDPOINT, STORE_REGION = "SLUICE_STORE_URL", "SLUICE_STORE_ENDPOINT", "SLUICE_STORE_REGION"
STORE_ALLOW_HTTP, STORE_CA = "SLUICE_STORE_ALLOW_HTTP", "SLUICE_STORE_CA"
REDIS, REDIS_TLS, REDIS_CA = "SLUICE_REDIS", "SLUICE_REDIS_TLS", "SLUICE_REDIS_CA"
PAYLOADS_TOKEN = "SLUICE_PAYLOADS_TOKEN"
"""What names this server to the payload ledger's receiver."""
FORWARD_TOKEN = "SLUICE_PAYLOADS_FORWARD_TOKEN"
"""What names the receiver to whatever it hands events on to."""
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no", "")


def storage_from(environment: Mapping[str, str]) -> Storage:
    """The store of the SLUICE_STORE_* variables. Credentials come from the standard chain, never from here.

    Raises:
        SettingsError: the URL is missing, or a variable holds no value of its kind.
    """
    problems = []
    allow_http = environment.get(STORE_ALLOW_HTTP, "")
    if not environment.get(STORE_URL):
        problems.append(f"{STORE_URL}: missing; s3://bucket/prefix, or a folder")
    if allow_http.lower() not in (*_YES, *_NO):
        problems.append(f"{STORE_ALLOW_HTTP}: expected true or false, got {allow_http!r}")
    if problems:
        raise SettingsError("environment", problems)
    return Storage(
        url=environment[STORE_URL],
        endpoint=environment.get(STORE_ENDPOINT) or None,
        region=environment.get(STORE_REGION) or Storage().region,
        allow_http=allow_http.lower() in _YES,
        ca=environment.get(STORE_CA) or None,
    )


def with_redis(use_case: UseCase, environment: Mapping[str, str]) -> UseCase:
    """The use case with its online store at SLUICE_REDIS (host:port), where that is set.

    A version holds the settings that it was trained with; the Redis beside this server may be another. SLUICE_REDIS_TLS
    and SLUICE_REDIS_CA (a file) are that one's.

    Raises:
        SettingsError: SLUICE_REDIS_TLS is neither true nor false.
    """
    address = environment.get(REDIS)
    if not address or use_case.features.repo is None:
        return use_case
    tls = environment.get(REDIS_TLS, "")
    if tls.lower() not in (*_YES, *_NO):
        raise SettingsError("environment", [f"{REDIS_TLS}: expected true or false, got {tls!r}"])
    place = {"address": address, "tls": tls.lower() in _YES, "ca": environment.get(REDIS_CA) or None}
    online = use_case.features.online.model_copy(update={"store": "redis", **place})
    return use_case.model_copy(update={"features": use_case.features.model_copy(update={"online": online})})
