"""What only the client of MinIO does: make a store's bucket, lock objects, count and remove their versions."""

from __future__ import annotations

import io
import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, GOVERNANCE, Filter
from minio.credentials.providers import IamAwsProvider
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.retention import Retention
from minio.versioningconfig import VersioningConfig

from sluice.errors import StoreError
from sluice.settings.operation import Storage
from sluice.storage.failures import explain
from sluice.storage.tls import context

IDENTITY_SOURCES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)

KEPT_DAYS = 30
"""Days that a deleted or replaced object can still be restored in a bucket made here."""


def init_store(storage: Storage, *, credentials: dict[str, str] | None = None) -> bool:
    """Make the store: a folder, or a bucket with versions, object lock and a rule that ends old versions (30 days).

    Returns whether it was made; one that is there is left as it is.

    Raises:
        StoreError: the server does not answer, or these credentials may not make buckets.
    """
    if not storage.url.startswith("s3://"):
        missing = not Path(storage.url.removeprefix("file://")).is_dir()
        Path(storage.url.removeprefix("file://")).mkdir(parents=True, exist_ok=True)
        return missing
    name = urlsplit(storage.url).netloc
    client = _client(storage, credentials)
    with _S3Explained(storage.url):
        if client.bucket_exists(name):
            return False
        client.make_bucket(name, storage.region, object_lock=True)
        client.set_bucket_versioning(name, VersioningConfig(ENABLED))
        expiry = NoncurrentVersionExpiration(noncurrent_days=KEPT_DAYS)
        rule = Rule(ENABLED, rule_filter=Filter(prefix=""), rule_id="old", noncurrent_version_expiration=expiry)
        client.set_bucket_lifecycle(name, LifecycleConfig([rule]))
    return True


def purge(storage: Storage, key: str, *, credentials: dict[str, str] | None = None) -> int:
    """Remove an object of an S3 store and, in a bucket with versioning, each earlier version; returns how many.

    Raises:
        StoreError: the server does not answer or refuses.
    """
    parts = urlsplit(storage.url)
    full = "/".join(part for part in (parts.path.strip("/"), key) if part)
    client = _client(storage, credentials)
    with _S3Explained(f"{storage.url}/{key}"):
        found = list(client.list_objects(parts.netloc, prefix=full, include_version=True))
        versions = [DeleteObject(full, entry.version_id) for entry in found if entry.object_name == full]
        for error in client.remove_objects(parts.netloc, versions):
            raise StoreError(f"{storage.url}/{key}: not removed: {error.message}", "check the user's policy")
    return len(versions)


def put_locked(
    storage: Storage, key: str, data: bytes, until: datetime, *, credentials: dict[str, str] | None = None
) -> bool | None:
    """Put if absent, in one request with a lock (governance) until an instant.

    Returns whether it was written; None when the bucket has no object lock, and nothing was written.

    Raises:
        StoreError: the server does not answer or refuses.
    """
    parts = urlsplit(storage.url)
    full = "/".join(part for part in (parts.path.strip("/"), key) if part)
    client = _client(storage, credentials, _IfAbsent(**_PATIENCE, ssl_context=context(storage)))
    with _S3Explained(f"{storage.url}/{key}"):
        try:
            client.put_object(parts.netloc, full, io.BytesIO(data), len(data), retention=Retention(GOVERNANCE, until))
        except S3Error as error:
            if error.code in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            if error.code == "InvalidRequest" and "lock" in str(error.message).lower():
                return None
            raise
    return True


def count_versions(storage: Storage, prefix: str, *, credentials: dict[str, str] | None = None) -> Counter[str]:
    """How many versions, delete markers included, each key under a prefix has.

    Raises:
        StoreError: the server does not answer or refuses.
    """
    parts = urlsplit(storage.url)
    root = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
    client = _client(storage, credentials)
    with _S3Explained(f"{storage.url}/{prefix}"):
        found = client.list_objects(parts.netloc, prefix=f"{root}{prefix}/", recursive=True, include_version=True)
        return Counter(str(entry.object_name).removeprefix(root) for entry in found)


def standard_keys(credentials: dict[str, str] | None) -> dict[str, str | None]:
    """Given credentials, or those of the environment."""
    if credentials:
        return dict(credentials)
    return {
        "access_key_id": os.environ.get("AWS_ACCESS_KEY_ID"),
        "secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY"),
        "token": os.environ.get("AWS_SESSION_TOKEN"),
    }


# A MinIO that is just starting asks to come back in a minute; it is ready within a second.
_PATIENCE: dict[str, Any] = {
    "timeout": urllib3.Timeout(connect=5, read=30),
    "retries": urllib3.Retry(
        total=5, other=0, backoff_factor=0.2, status_forcelist=[502, 503, 504], respect_retry_after_header=False
    ),
}


def patient_pool(storage: Storage) -> urllib3.PoolManager:
    """Connections that wait for a server that is starting, and not for ever."""
    return urllib3.PoolManager(**_PATIENCE, ssl_context=context(storage))


class _IfAbsent(urllib3.PoolManager):
    """Writes only what is not there: MinIO's client has no way to say so."""

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kw: Any
    ) -> urllib3.BaseHTTPResponse:
        if method == "PUT":
            kw["headers"]["If-None-Match"] = "*"
        return super().urlopen(method, url, redirect, **kw)


def _client(storage: Storage, credentials: dict[str, str] | None, pool: urllib3.PoolManager | None = None) -> Minio:
    endpoint = urlsplit(storage.endpoint or "https://s3.amazonaws.com")
    keys = standard_keys(credentials)
    return Minio(
        endpoint.netloc,
        keys["access_key_id"],
        keys["secret_access_key"],
        keys.get("token"),
        secure=endpoint.scheme == "https",
        region=storage.region,
        http_client=pool or patient_pool(storage),
        credentials=_identity(storage) if _by_identity(storage) else None,
    )


def _identity(storage: Storage) -> IamAwsProvider:
    """Short-lived keys for the identity; AWS_ENDPOINT_URL_STS names a token service that is not AWS's own."""
    if not os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return IamAwsProvider()
    service = os.environ.get("AWS_ENDPOINT_URL_STS")
    return IamAwsProvider(custom_endpoint=service, http_client=patient_pool(storage), region=storage.region)


def _by_identity(storage: Storage) -> bool:
    """Whether rights come from a pod's web identity or its node's role."""
    return storage.endpoint is None or any(os.environ.get(name) for name in IDENTITY_SOURCES)


class _S3Explained:
    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, S3Error):
            raise explain(OSError(f"{error.code}: {error.message}"), self._where) from None
        if isinstance(error, urllib3.exceptions.HTTPError):
            raise explain(OSError(f"error sending request: {error}"), self._where) from None
        if isinstance(error, MinioException):
            raise explain(error, self._where) from None
