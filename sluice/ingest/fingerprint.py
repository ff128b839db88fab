"""The digest of what lies at the data's addresses: it says whether ingest has to be run again."""

from __future__ import annotations

from sluice import digests
from sluice.ingest.files import source_files
from sluice.settings import UseCase


def source_digest(use_case: UseCase, *, credentials: dict[str, str] | None = None) -> str:
    """SHA-256 over all files of the events' source, and of the labels' where it is apart: names and contents.

    Local files count by content, S3 objects by their ETag. `credentials` are for S3, as `open_store` takes them.

    Raises:
        DataError: there is nothing at the address.
        StoreError: S3 does not answer.
    """
    found = []
    for source in filter(None, [use_case.data.source, use_case.data.labels.source]):
        for file in source_files(source, use_case.storage, credentials):
            found.append([file.name.removeprefix(source), file.fingerprint()])
    return digests.of_json(found)
