"""The digest of what lies at the data's addresses: it says whether ingest has to be run again."""

from __future__ import annotations

from pathlib import Path

from sluice import digests
from sluice.ingest.source import files_of
from sluice.settings import UseCase


def source_digest(use_case: UseCase) -> str:
    """SHA-256 over the names and contents of all files of the events' source, and of the labels' where it is apart.

    Raises:
        DataError: there is nothing at the address.
        StoreError: S3 does not answer.
    """
    sources = [use_case.data.source, use_case.data.labels.source]
    found = []
    for source in filter(None, sources):
        for file in files_of(source, use_case.storage):
            content = file.open()
            digest = digests.of_file(content) if isinstance(content, Path) else digests.of_bytes(content)
            found.append([file.name.removeprefix(source), digest])
    return digests.of_json(found)
