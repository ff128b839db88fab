"""A store of bytes under keys: a folder or any S3 that knows put-if-absent (`If-None-Match: *`).

Blobs lie under the SHA-256 of their contents and are never overwritten; everything else that is written
once uses `put_if_absent`. Credentials for S3 come from the standard chain (AWS_ACCESS_KEY_ID …), never from settings.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError
from obstore.store import LocalStore

from sluice import digests
from sluice.errors import IntegrityError
from sluice.storage.extras import Extras
from sluice.storage.failures import Explained, is_not_found

MULTIPART_FROM = 16 * 2**20
"""Bytes from which a file is written and read in parts, so that memory stays flat."""
PART = 8 * 2**20


@dataclass(frozen=True)
class Entry:
    """A stored object: key, bytes, last written (UTC), and a tag that changes with its content (empty: none)."""

    key: str
    size: int
    modified: datetime
    tag: str = ""


class Store:
    """Bytes under keys. All failures are `StoreError`s that name the store and the key."""

    def __init__(self, backend: Any, url: str, extras: Extras | None = None) -> None:
        self._backend = backend
        self._bucket_seen = isinstance(backend, LocalStore)
        self._extras = extras
        self.url = url

    @property
    def folder(self) -> Path | None:
        """The folder of a local store."""
        return Path(self.url) if isinstance(self._backend, LocalStore) else None

    def put(self, key: str, data: bytes | Path) -> None:
        """Write, replacing what is there; readers see the old or the new bytes, never a part.

        For documents that are not a record of anything, and for blobs, whose bytes cannot differ.
        """
        with self._explained(key):
            obstore.put(self._backend, key, data, chunk_size=PART, max_concurrency=4)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        """Write unless the key exists; False when it did. Of many writers exactly one gets True."""
        with self._explained(key):
            try:
                obstore.put(self._backend, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def put_locked(self, key: str, data: bytes) -> bool:
        """As `put_if_absent`, for what must stay as it was written: a bucket with object lock keeps it from removal."""
        written = self._extras.put_locked(key, data) if self._extras is not None else None
        return self.put_if_absent(key, data) if written is None else written

    def versions(self, prefix: str) -> Mapping[str, int]:
        """How often each key under a prefix was written or deleted, where the store keeps count (S3 with versions)."""
        return {} if self._extras is None else self._extras.versions(prefix)

    def get(self, key: str) -> bytes:
        """The bytes of a key.

        Raises:
            StoreError: no such key, or the store does not answer.
        """
        with self._explained(key):
            return bytes(obstore.get(self._backend, key).bytes())

    def get_to_file(self, key: str, path: Path) -> str:
        """Write a key's bytes to a file in parts and return their SHA-256; no half file appears at `path`."""
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        digest = hashlib.sha256()
        try:
            with self._explained(key), part.open("wb") as file:
                size = obstore.head(self._backend, key)["size"]
                for start in range(0, size, PART):
                    end = min(start + PART, size)
                    chunk = bytes(obstore.get_range(self._backend, key, start=start, end=end))
                    digest.update(chunk)
                    file.write(chunk)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest()

    def exists(self, key: str) -> bool:
        """Whether the key is there.

        Raises:
            StoreError: the store cannot tell, because it does not answer or its bucket is missing.
        """
        return self.entry(key) is not None

    def entry(self, key: str) -> Entry | None:
        """Size and time of a key, None when it is not there; raises as `exists`."""
        with self._explained(key):
            try:
                found = obstore.head(self._backend, key)
            except (BaseError, FileNotFoundError) as error:
                if not is_not_found(error):
                    raise
                # The answer to a HEAD has no body, so it does not tell a missing bucket from a missing key.
                self._see_bucket()
                return None
        self._bucket_seen = True
        return Entry(found["path"], found["size"], found["last_modified"])

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """All objects under a prefix (whole path segments), in no order."""
        with self._explained(prefix):
            for chunk in obstore.list(self._backend, prefix or None):
                for found in chunk:
                    yield Entry(found["path"], found["size"], found["last_modified"], found["e_tag"] or "")

    def keys(self, prefix: str = "") -> Iterator[str]:
        """All keys under a prefix (whole path segments), in no order."""
        for entry in self.entries(prefix):
            yield entry.key

    def tags(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """All keys under a prefix with a tag that changes when the content does (S3's ETag), in no order."""
        for entry in self.entries(prefix):
            yield entry.key, entry.tag

    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is no error."""
        with self._explained(key):
            try:
                obstore.delete(self._backend, key)
            except (BaseError, FileNotFoundError) as error:
                if not is_not_found(error):
                    raise

    def purge(self, key: str) -> None:
        """Remove a key for good: in a bucket with versioning `delete` leaves the old bytes, this does not."""
        if self._extras is None:
            self.delete(key)
        else:
            self._extras.purge(key)

    def put_blob(self, data: bytes | Path) -> str:
        """Write content under its SHA-256, which is returned. Large files go in parts and are never held in memory.

        Content that is there already is written again only to make it young, which keeps the garbage collector off.
        """
        digest = digests.of_file(data) if isinstance(data, Path) else digests.of_bytes(data)
        key = blob_key(digest)
        large = isinstance(data, Path) and data.stat().st_size >= MULTIPART_FROM
        # Parts and put-if-absent do not go together; equal bytes may overwrite each other.
        if large or not self.put_if_absent(key, data):
            self.put(key, data)
        return digest

    def get_blob(self, digest: str) -> bytes:
        """The content with this SHA-256.

        Raises:
            IntegrityError: the stored bytes have another digest.
        """
        data = self.get(blob_key(digest))
        self._check(digest, digests.of_bytes(data))
        return data

    def get_blob_to_file(self, digest: str, path: Path) -> None:
        """Write the content with this SHA-256 to a file, in parts; raises as `get_blob`, then leaving no file."""
        found = self.get_to_file(blob_key(digest), path)
        if found != digest:
            path.unlink()
        self._check(digest, found)

    def _check(self, digest: str, found: str) -> None:
        if found != digest:
            raise IntegrityError(
                f"{self.url}/{blob_key(digest)} holds bytes with digest {found}",
                "the store was changed from outside: restore this object, then run `sluice verify`",
            )

    def _see_bucket(self) -> None:
        if not self._bucket_seen:
            # Who may not list the bucket has been told that it is there.
            with suppress(PermissionDeniedError):
                next(iter(obstore.list(self._backend, chunk_size=1)), None)
            self._bucket_seen = True

    def _explained(self, key: str) -> Explained:
        return Explained(self.url, key)


def blob_key(digest: str) -> str:
    """Where a blob lies."""
    return f"blobs/{digest[:2]}/{digest}"
