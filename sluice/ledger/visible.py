"""Which files of a partition count: a manifest switches from old files to new ones in one step.

A writer adds files of any name. Whoever rewrites puts the new file first, then the next manifest, which names it and
what it replaces, and removes the old ones last. A reader takes the newest manifest's files and all others that it does
not name as replaced: before the manifest is there all the old ones, from then on all the new ones, never both or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from sluice import digests
from sluice.errors import ConflictError, StoreError
from sluice.ledger.layout import Partition
from sluice.registry.formats import FORMAT, read_document
from sluice.storage import Entry, Store

T = TypeVar("T")
REWRITTEN = "c-"
_MANIFEST = re.compile(r"m-(\d{8})\.json")
_ATTEMPTS = 10


@dataclass(frozen=True)
class View:
    """One partition at one moment. `number`: of its manifest, 0 without one; `entries`: all that lies there."""

    partition: Partition
    number: int
    rewritten: tuple[str, ...]
    replaced: frozenset[str]
    entries: dict[str, Entry]

    @property
    def files(self) -> list[str]:
        """The keys of the files that count, in order."""
        raw = [
            name
            for name in self.entries
            if name.endswith(".parquet") and not name.startswith(REWRITTEN) and name not in self.replaced
        ]
        return [f"{self.partition.prefix}/{name}" for name in sorted([*self.rewritten, *raw])]

    @property
    def leftovers(self) -> list[str]:
        """Names that count no more: replaced files, rewritten ones of older manifests, and those manifests."""
        found = []
        for name in sorted(self.entries):
            old = (match := _MANIFEST.fullmatch(name)) is not None and int(match[1]) < self.number
            stray = name.startswith(REWRITTEN) and name not in self.rewritten
            if (old or stray or name in self.replaced) and name not in self.rewritten:
                found.append(name)
        return found


def view(store: Store, partition: Partition) -> View:
    """The partition as it is now."""
    for _ in range(_ATTEMPTS):
        entries = _listed(store, partition)
        number = _newest(entries)
        # Names come one by one: a switch while they did may have hidden an old file before the new manifest was seen.
        if _newest(_listed(store, partition)) != number:
            continue
        if number == 0:
            return View(partition, 0, (), frozenset(), entries)
        key = manifest_key(partition, number)
        document = read_document(store.get(key), f"{store.url}/{key}")
        return View(partition, number, tuple(document["files"]), frozenset(document["replaced"]), entries)
    raise _busy(store, partition)


def steadily(store: Store, partition: Partition, read: Callable[[View], T]) -> T:
    """What `read` gives of one view; a file that was rewritten away meanwhile is no error, it is read anew.

    Raises:
        StoreError: the store does not answer, or a file that should be there is gone.
    """
    for _ in range(_ATTEMPTS):
        seen = view(store, partition)
        try:
            return read(seen)
        except StoreError:
            if view(store, partition).number == seen.number:
                raise
    raise _busy(store, partition)


def switch(store: Store, seen: View, files: Iterable[str], replaced: Iterable[str]) -> None:
    """Write the next manifest: from now on these files count and those do not.

    Raises:
        ConflictError: somebody else rewrote the partition meanwhile.
    """
    counting = set(files)
    # Old files may still lie there, and must not come back.
    gone = {*replaced, *(name for name in seen.replaced if name in seen.entries)} - counting
    document = {"format": FORMAT, "files": sorted(counting), "replaced": sorted(gone)}
    if not store.put_if_absent(manifest_key(seen.partition, seen.number + 1), digests.canonical_json(document)):
        raise ConflictError(f"{store.url}/{seen.partition.prefix} was rewritten by somebody else", "run again")


def manifest_key(partition: Partition, number: int) -> str:
    """Where a manifest lies."""
    return f"{partition.prefix}/m-{number:08d}.json"


def _listed(store: Store, partition: Partition) -> dict[str, Entry]:
    return {entry.key.rsplit("/", 1)[-1]: entry for entry in store.entries(partition.prefix)}


def _newest(names: Iterable[str]) -> int:
    return max((int(match[1]) for name in names if (match := _MANIFEST.fullmatch(name))), default=0)


def _busy(store: Store, partition: Partition) -> StoreError:
    return StoreError(f"{store.url}/{partition.prefix} is rewritten again and again", "try again later")
