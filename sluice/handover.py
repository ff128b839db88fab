"""Work that goes to another place and comes back through the store: files in, files out, and how it ended.

A step of a pipeline gives what a job needs under a name, starts the job, and takes what the job gave. The outcome is
written last: where it is there, everything before it is whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.errors import StoreError
from sluice.storage import Store

PREFIX = "handover"
_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Handover:
    """What lies in the store for one piece of work.

    Attributes:
        store: both sides reach it.
        name: of the work: the role that may see it, and a digest of what it depends on, such as `train/3f…`.
    """

    store: Store
    name: str

    def give(self, part: str, path: Path) -> None:
        """Put a file, or all files of a folder, under the name of a part."""
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            below = file.name if path.is_file() else file.relative_to(path).as_posix()
            self.store.put(f"{self._folder}/{part}/{below}", file)

    def take(self, part: str, folder: Path) -> None:
        """Write the files of a part below `folder`.

        Raises:
            StoreError: nothing was given.
        """
        prefix = f"{self._folder}/{part}/"
        keys = sorted(self.store.keys(prefix.rstrip("/")))
        if not keys:
            raise StoreError(f"{prefix} is empty", "it was cleared, or never given: run the step again")
        for key in keys:
            target = folder / key.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.store.get(key))

    def tell(self, outcome: dict[str, Any]) -> None:
        """Say how it ended (JSON), after everything else."""
        self.store.put(f"{self._folder}/{_OUTCOME}", json.dumps(outcome, sort_keys=True).encode())

    def outcome(self) -> dict[str, Any] | None:
        """How it ended, or None: it has not."""
        key = f"{self._folder}/{_OUTCOME}"
        if key not in set(self.store.keys(self._folder)):
            return None
        found: dict[str, Any] = json.loads(self.store.get(key))
        return found

    def clear(self) -> None:
        """Remove everything; the outcome first, as nothing is whole without the rest."""
        keys = sorted(self.store.keys(self._folder), key=lambda key: not key.endswith(_OUTCOME))
        for key in keys:
            self.store.delete(key)

    @property
    def _folder(self) -> str:
        return f"{PREFIX}/{self.name}"
