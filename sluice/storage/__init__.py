"""The one door to stored bytes: a folder or S3, by URL."""

from sluice.storage.store import Store, open_store

__all__ = ["Store", "open_store"]
