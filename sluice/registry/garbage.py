"""Remove what nothing refers to: blobs and versions of runs that were killed before their decision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sluice.registry.references import References, references
from sluice.storage import Entry, Store

GRACE = timedelta(days=1)
"""Younger objects stay: their decision may be on its way."""


@dataclass(frozen=True)
class Collected:
    """What was removed, or would be: keys, and bytes in all."""

    keys: tuple[str, ...]
    size: int


def collect_garbage(store: Store, *, now: datetime, grace: timedelta = GRACE, dry_run: bool = False) -> Collected:
    """Remove blobs, versions, signatures and row registrations that no decision and no run names, and half files.

    Args:
        now: against the store's own times; with a clock that is behind, less is removed, never more.

    Raises:
        IntegrityError: a log is broken: then nothing is removed.
    """
    # What names blobs goes first, so that a kill in the middle leaves nothing that names what is gone.
    # What is listed before the references are read cannot have been named in between without being young.
    listed = [entry for prefix in ("registry", "data", "blobs") for entry in store.entries(prefix)]
    known = references(store)
    removed, size = [], 0
    for entry in [*listed, *_half_files(store)]:
        if _is_needed(entry.key, known) or now - entry.modified < grace:
            continue
        if not dry_run and not _remove(store, entry, now, grace):
            continue
        removed.append(entry.key)
        size += entry.size
    return Collected(tuple(sorted(removed)), size)


def _is_needed(key: str, known: References) -> bool:
    parts = key.split("/")
    if "#" in parts[-1]:
        return False
    if parts[0] == "blobs":
        return parts[-1] in known.blobs and parts[-1] not in known.tombstones
    if parts[0] == "data":
        digest = parts[-1].removesuffix(".json")
        return digest in known.blobs and digest not in known.tombstones
    if len(parts) > 3 and parts[2] in ("versions", "signatures"):
        return (parts[1], parts[3].removesuffix(".json")) in known.versions
    return True


def _remove(store: Store, entry: Entry, now: datetime, grace: timedelta) -> bool:
    if "#" in entry.key and store.folder is not None:
        (store.folder / entry.key).unlink(missing_ok=True)
        return True
    # A writer that meets its content in the store makes it young again: look once more.
    current = store.entry(entry.key)
    if current is None or now - current.modified < grace:
        return False
    store.purge(entry.key)
    return True


def _half_files(store: Store) -> Iterator[Entry]:
    """What a killed writer left in a folder: obstore writes `name#1` and then renames it, and lists no such names."""
    if store.folder is None:
        return
    for path in sorted(store.folder.rglob("*#*")):
        if re.search(r"#\d+$", path.name) and path.is_file():
            found = path.stat()
            yield Entry(_key(store.folder, path), found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _key(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
