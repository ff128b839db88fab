"""Open the store that the settings name, and make it where it is missing."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.store import LocalStore, S3Store

from sluice.errors import StoreError
from sluice.settings.operation import Storage
from sluice.storage.extras import BucketExtras
from sluice.storage.store import Store
from sluice.storage.tls import authority

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CREDENTIAL_SOURCES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
ANSWER_WITHIN = timedelta(seconds=30)
"""A request that takes longer has failed: the store gives up after a few of these, never hangs."""


def open_store(
    storage: Storage, *, credentials: dict[str, str] | None = None, answer_within: timedelta = ANSWER_WITHIN
) -> Store:
    """The store of the settings. `credentials` (access_key_id, secret_access_key) override the standard chain.

    Raises:
        StoreError: the URL is of no such store, the folder cannot be made, an endpoint is set and there are no
            credentials for it, it has no TLS and that is not allowed, or the file `storage.ca` holds no certificate.
    """
    _check_url(storage.url)
    if not storage.url.startswith("s3://"):
        return _open_folder(storage.url)
    options: dict[str, Any] = {"region": storage.region, **(credentials or {})}
    if storage.endpoint:
        options |= {"endpoint": storage.endpoint, "virtual_hosted_style_request": False}
        # Without any, the client would ask a cloud's metadata address, and say something about that.
        if not credentials and not any(os.environ.get(name) for name in CREDENTIAL_SOURCES):
            raise StoreError(
                f"{storage.url}: there are no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
    trusted = authority(storage)
    client: ClientConfig = {"allow_http": storage.allow_http, "timeout": answer_within, "connect_timeout": "5s"}
    if trusted is not None:
        client["root_certificate"] = trusted
    retry: RetryConfig = {"max_retries": 3, "retry_timeout": answer_within * 2 / 3}
    backend = S3Store.from_url(storage.url, client_options=client, retry_config=retry, **options)

    return Store(backend, storage.url, BucketExtras(storage, credentials))


def _check_url(url: str) -> None:
    scheme, _, rest = url.rpartition("://")
    if scheme not in ("", "file", "s3"):
        raise StoreError(f"{url}: a store is a folder or s3://bucket/prefix", "correct storage.url, or --store")
    if scheme == "s3" and not rest.partition("/")[0]:
        raise StoreError(f"{url}: names no bucket", "write it like s3://bucket/prefix")


def _open_folder(url: str) -> Store:
    folder = Path(url.removeprefix("file://")).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Store(LocalStore(folder), str(folder))
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}", "set storage.url to a folder you own") from None
