"""Copy a store into another: a backup, or the way back from one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.errors import IntegrityError, StoreError
from sluice.storage.store import Entry, Store, blob_key

PREFIXES = ("registry", "blobs", "data")
"""What cannot be made again; checkpoints and Kubeflow's artifacts can."""


def copy_store(source: Store, target: Store) -> Counter[str]:
    """Copy decisions, versions, runs, blobs and data; again: what is missing or has changed since.

    Decisions come first and blobs after them: a decision names only what was stored before it, so a copy that is
    taken while runs go on holds whatever its decisions name.

    Returns:
        How many objects were `copied`, and how many were `there` already.

    Raises:
        IntegrityError: a blob has not the digest that it is named by, or the target holds another decision.
        StoreError: the source holds nothing, or one of them does not answer.
    """
    done: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        for entry in _in_order(source):
            done["copied" if _copy(source, target, entry, Path(folder)) else "there"] += 1
    if not done:
        raise StoreError(f"{source.url} holds nothing to copy", "correct storage.url")
    return done


def _in_order(source: Store) -> Iterator[Entry]:
    for prefix in PREFIXES:
        yield from sorted(source.entries(prefix), key=lambda entry: (not _is_decision(entry.key), entry.key))


def _copy(source: Store, target: Store, entry: Entry, folder: Path) -> bool:
    """Whether it was not there before."""
    found = target.entry(entry.key)
    same_size = found is not None and found.size == entry.size
    if same_size and entry.key.startswith("blobs/"):
        return False
    path = folder / "object"
    digest = source.get_to_file(entry.key, path)
    if entry.key.startswith("blobs/") and entry.key != blob_key(digest):
        raise IntegrityError(
            f"{source.url}/{entry.key} holds bytes with digest {digest}", "restore it from another copy"
        )
    if same_size and target.get_to_file(entry.key, folder / "there") == digest:
        return False
    if not _is_decision(entry.key):
        target.put(entry.key, path)
    elif not target.put_locked(entry.key, path.read_bytes()):
        raise IntegrityError(
            f"{target.url}/{entry.key} is another decision than {source.url} has",
            "the two went separate ways: copy into an empty store",
        )
    return True


def _is_decision(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 4 and parts[0] == "registry" and parts[2] == "log"
