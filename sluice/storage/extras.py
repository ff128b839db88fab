"""What a bucket can do beyond get and put, through MinIO's client, which is loaded only when asked: a model server
never does, and does not have it.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Protocol

from sluice.settings.operation import Storage


class Extras(Protocol):
    """What a store asks of the place it is in."""

    def purge(self, key: str) -> int: ...

    def put_locked(self, key: str, data: bytes) -> bool | None: ...

    def versions(self, prefix: str) -> Counter[str]: ...


class BucketExtras:
    """The extras of an S3 bucket; see `sluice.storage.bucket` for each."""

    def __init__(self, storage: Storage, credentials: dict[str, str] | None) -> None:
        self._storage, self._credentials = storage, credentials
        self._locks = storage.lock is not None

    def purge(self, key: str) -> int:
        """Remove an object and each of its versions."""
        from sluice.storage.bucket import purge

        return purge(self._storage, key, credentials=self._credentials)

    def put_locked(self, key: str, data: bytes) -> bool | None:
        """Put if absent and lock for `storage.lock`; None where nothing is locked, and nothing was written."""
        from sluice.storage.bucket import put_locked

        if not self._locks or self._storage.lock is None:
            return None
        until = datetime.now(UTC) + self._storage.lock
        written = put_locked(self._storage, key, data, until, credentials=self._credentials)
        self._locks = written is not None
        return written

    def versions(self, prefix: str) -> Counter[str]:
        """How many versions each key under a prefix has."""
        from sluice.storage.bucket import count_versions

        return count_versions(self._storage, prefix, credentials=self._credentials)
