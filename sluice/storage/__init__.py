"""The one door to stored bytes: a folder or S3, by URL."""

from sluice.storage.opening import open_store
from sluice.storage.store import Entry, Store, blob_key

__all__ = ["Entry", "Store", "blob_key", "open_store"]
