"""What only the client of MinIO does: make the bucket of a store, and remove every version of an object."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.lifecycleconfig import LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.versioningconfig import VersioningConfig

from sluice.errors import StoreError
from sluice.settings.operation import Storage
from sluice.storage.failures import explain

KEPT_DAYS = 30
"""Days that a deleted or replaced object can still be restored in a bucket made here."""


def init_store(storage: Storage, *, credentials: dict[str, str] | None = None) -> bool:
    """Make the store: a folder, or a bucket with versioning and a rule that ends old versions after 30 days.

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
        client.make_bucket(name, storage.region)
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


def _client(storage: Storage, credentials: dict[str, str] | None) -> Minio:
    endpoint = urlsplit(storage.endpoint or "https://s3.amazonaws.com")
    keys: dict[str, str | None] = dict(credentials or {})
    if not credentials:
        keys = {
            "access_key_id": os.environ.get("AWS_ACCESS_KEY_ID"),
            "secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY"),
            "token": os.environ.get("AWS_SESSION_TOKEN"),
        }
    # A MinIO that is just starting asks to come back in a minute; it is ready within a second.
    retries = urllib3.Retry(
        total=5, backoff_factor=0.2, status_forcelist=[502, 503, 504], respect_retry_after_header=False
    )
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=30), retries=retries)
    return Minio(
        endpoint.netloc,
        keys["access_key_id"],
        keys["secret_access_key"],
        keys.get("token"),
        secure=endpoint.scheme == "https",
        region=storage.region,
        http_client=pool,
    )


class _S3Explained:
    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, S3Error):
            raise explain(OSError(f"{error.code}: {error.message}"), self._where) from None
        if isinstance(error, urllib3.exceptions.HTTPError):
            raise explain(OSError("error sending request"), self._where) from None
