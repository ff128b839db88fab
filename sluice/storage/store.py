"""A store of bytes under keys: a folder or any S3 that knows put-if-absent (`If-None-Match: *`).

Blobs lie under the SHA-256 of their contents and are never overwritten; everything else that is written
once uses `put_if_absent`. Credentials for S3 come from the standard chain (AWS_ACCESS_KEY_ID …), never from settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from sluice import digests
from sluice.errors import IntegrityError, StoreError
from sluice.settings.operation import Storage

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


def open_store(storage: Storage, *, credentials: dict[str, str] | None = None) -> Store:
    """The store of the settings. `credentials` (access_key_id, secret_access_key) override the standard chain."""
    if storage.url.startswith("s3://"):
        options: dict[str, Any] = {"region": storage.region, **(credentials or {})}
        if storage.endpoint:
            options |= {"endpoint": storage.endpoint, "virtual_hosted_style_request": False}
        client: ClientConfig = {"allow_http": storage.allow_http, "timeout": "30s", "connect_timeout": "5s"}
        retry: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
        backend = S3Store.from_url(storage.url, client_options=client, retry_config=retry, **options)
        return Store(backend, storage.url)
    folder = Path(storage.url.removeprefix("file://")).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}", "set storage.url to a folder you own") from None
    return Store(LocalStore(folder), str(folder))


class Store:
    """Bytes under keys. All failures are `StoreError`s that name the store and the key."""

    def __init__(self, backend: Any, url: str) -> None:
        self._backend = backend
        self.url = url

    def put(self, key: str, data: bytes | Path) -> None:
        """Write, replacing what is there. Only for documents that are not a record of anything."""
        with self._explained(key):
            obstore.put(self._backend, key, data)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        """Write unless the key exists; False when it did. Of many writers exactly one gets True."""
        with self._explained(key):
            try:
                obstore.put(self._backend, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def get(self, key: str) -> bytes:
        """The bytes of a key.

        Raises:
            StoreError: no such key, or the store does not answer.
        """
        with self._explained(key):
            return bytes(obstore.get(self._backend, key).bytes())

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        with self._explained(key):
            try:
                obstore.head(self._backend, key)
            except (NotFoundError, FileNotFoundError):
                return False
        return True

    def keys(self, prefix: str = "") -> Iterator[str]:
        """All keys under a prefix (whole path segments), in no order."""
        with self._explained(prefix):
            for chunk in obstore.list(self._backend, prefix or None):
                yield from (entry["path"] for entry in chunk)

    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is no error."""
        with self._explained(key):
            try:
                obstore.delete(self._backend, key)
            except (NotFoundError, FileNotFoundError):
                return

    def put_blob(self, data: bytes | Path) -> str:
        """Write content under its SHA-256, which is returned. Writing it again does nothing."""
        digest = digests.of_file(data) if isinstance(data, Path) else digests.of_bytes(data)
        self.put_if_absent(blob_key(digest), data)
        return digest

    def get_blob(self, digest: str) -> bytes:
        """The content with this SHA-256.

        Raises:
            IntegrityError: the stored bytes have another digest.
        """
        data = self.get(blob_key(digest))
        found = digests.of_bytes(data)
        if found != digest:
            raise IntegrityError(
                f"{self.url}/{blob_key(digest)} holds bytes with digest {found}",
                "the store was changed from outside: restore this object, then run `sluice verify`",
            )
        return data

    def _explained(self, key: str) -> _Explained:
        return _Explained(self.url, key)


def blob_key(digest: str) -> str:
    """Where a blob lies."""
    return f"blobs/{digest[:2]}/{digest}"


class _Explained:
    """Turns the backend's errors into ours."""

    def __init__(self, url: str, key: str) -> None:
        self._where = f"{url}/{key}" if key else url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, BaseError | OSError):
            return
        if isinstance(error, NotFoundError | FileNotFoundError) and "bucket" not in str(error).lower():
            raise StoreError(f"{self._where}: not there", "check the name and storage.url") from None
        first = str(error).strip().splitlines()[0][:300]
        raise StoreError(f"{self._where}: the store refuses or does not answer: {first}", _advice(str(error))) from None


def _advice(message: str) -> str:
    for sign, advice in (
        ("NoSuchBucket", "make the bucket first: `sluice store init` does"),
        ("InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("SignatureDoesNotMatch", "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("AccessDenied", "these credentials may not do this: check the user's policy"),
        ("No space left", "free room on the disk, then run again: finished steps are reused"),
    ):
        if sign in message:
            return advice
    return "check that the server runs at storage.endpoint, then run again: finished steps are reused"
