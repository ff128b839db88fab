"""The append-only decision log: numbered files, each with the hash of the one before."""

from __future__ import annotations

import re

from sluice.errors import ConflictError, IntegrityError, StoreError
from sluice.registry.decision import BEGINNING, Decision
from sluice.registry.keys import Keys
from sluice.storage import Store


def entry_key(model: str, number: int) -> str:
    """Where an entry lies."""
    return f"registry/{model}/log/{number:08d}.json"


class DecisionLog:
    """A model's log. Entries never change, so those once read are kept. With `keys`, each has to be signed."""

    def __init__(self, store: Store, model: str, keys: Keys | None = None) -> None:
        self._store, self._keys = store, keys
        self.model = model
        self._read: tuple[Decision, ...] = ()

    def entries(self) -> tuple[Decision, ...]:
        """All entries, first to last.

        Raises:
            IntegrityError: an entry is missing, changed, or does not follow the one before.
        """
        count = self._count()
        if count < len(self._read):
            raise IntegrityError(
                f"the log of {self.model} in {self._store.url} lost entries from {count + 1} on",
                "restore them from a backup, then run `sluice verify`",
            )
        entries = list(self._read)
        for number in range(len(entries) + 1, count + 1):
            entries.append(self._entry(number, entries[-1].digest if entries else BEGINNING))
        self._read = tuple(entries)
        return self._read

    def append(self, decision: Decision) -> Decision:
        """Store a decision as the next entry.

        Raises:
            ConflictError: somebody else's entry has this number.
        """
        key, data = entry_key(self.model, decision.number), decision.encode()
        try:
            mine = self._store.put_locked(key, data)
        except StoreError:
            # The answer to a write that arrived may be lost: only reading tells whether it did.
            if not self._is_stored(key, data):
                raise
            mine = True
        # A write repeated inside the client meets itself.
        if not mine and self._store.get(key) != data:
            raise ConflictError(
                f"entry {decision.number} of {self.model}'s log was written by somebody else",
                "read the head and the champion anew; if the champion changed, run the gate again",
            )
        return Decision.decode(data, key)

    def _is_stored(self, key: str, data: bytes) -> bool:
        try:
            return self._store.exists(key) and self._store.get(key) == data
        except StoreError:
            return False

    def _count(self) -> int:
        pattern = re.compile(r"(\d{8})\.json")
        names = (key.rsplit("/", 1)[-1] for key in self._store.keys(f"registry/{self.model}/log"))
        numbers = sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name)))
        if numbers != list(range(1, len(numbers) + 1)):
            missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
            raise IntegrityError(
                f"the log of {self.model} in {self._store.url} misses entry {missing[0]}",
                "restore it from a backup, then run `sluice verify`",
            )
        return len(numbers)

    def _entry(self, number: int, previous: str) -> Decision:
        key = entry_key(self.model, number)
        decision = Decision.decode(self._store.get(key), key)
        if (decision.number, decision.model, decision.previous) != (number, self.model, previous):
            raise IntegrityError(
                f"{self._store.url}/{key} does not follow the entry before it",
                "the log was changed from outside: restore it, then run `sluice verify`",
            )
        if self._keys is not None:
            self._keys.check(decision.signed_part(), decision.signature, f"{self._store.url}/{key}")
        return decision
