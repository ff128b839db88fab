"""What a model's log says: its versions, its decisions, and what they rest on. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from sluice.errors import IntegrityError, RegistryError
from sluice.registry.decision import Decision
from sluice.registry.keys import Keys
from sluice.registry.log import DecisionLog
from sluice.registry.moves import replay
from sluice.registry.state import State
from sluice.registry.version import Version, load_version
from sluice.storage import Store


class Records:
    """The records of `model` in a store. `actor` is written into every decision, `clock` gives its time."""

    def __init__(
        self, store: Store, model: str, *, clock: Callable[[], datetime], actor: str, keys: Keys | None = None
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", model):
            raise RegistryError(f"{model!r} is no name for a model", "use letters, digits, '_', '-' and '.'")
        if not actor.strip():
            raise RegistryError("a decision has to name who makes it", "pass the actor")
        if keys is not None:
            keys.refuse_inside(store.folder)
        self.store, self.model, self.actor, self.keys = store, model, actor, keys
        self._clock = clock
        self._log = DecisionLog(store, model, keys)

    def version(self, digest: str) -> Version:
        """The version with this digest, or with a unique beginning of it of 6 digits or more."""
        if 6 <= len(digest) < 64:
            found = [known for known in self.versions() if known.startswith(digest)]
            digest = found[0] if len(found) == 1 else digest
        return load_version(self.store, self.model, digest)

    def versions(self) -> list[str]:
        """Digests of all versions, sorted."""
        keys = self.store.keys(f"registry/{self.model}/versions")
        return sorted(key.rsplit("/", 1)[-1].removesuffix(".json") for key in keys)

    def log(self) -> list[Decision]:
        """All decisions, first to last."""
        return list(self._log.entries())

    def head(self) -> int:
        """Number of the last decision; 0 when there is none."""
        return len(self._log.entries())

    def state(self) -> State:
        """What the log says now."""
        return self._replayed(self._log.entries())

    def openings(self, seal_digest: str) -> int:
        """How often this sealed test was opened."""
        return sum(d.kind == "opened" and d.figures.get("seal") == seal_digest for d in self._log.entries())

    def evidence(self, decision: Decision, name: str) -> bytes:
        """What a decision rests on; for a table from which rows were forgotten, what is left of it.

        Raises:
            RegistryError: the decision has no evidence of this name, or all of it was forgotten.
        """
        digest: str | None = decision.evidence.get(name)
        tables = [table for d in self.log() if d.kind == "forgotten" for table in d.figures["tables"]]
        replaced = {table["removed"]: table["replaced_by"] for table in tables}
        while digest in replaced:
            digest = replaced[digest]
        if digest is None:
            raise RegistryError(f"decision {decision.number} has no {name}", f"it has {', '.join(decision.evidence)}")
        return self.store.get_blob(digest)

    def _replayed(self, entries: tuple[Decision, ...]) -> State:
        try:
            return replay(entries)
        except RegistryError as error:
            raise IntegrityError(
                f"the log of {self.model} holds an illegal move: {error.message}", "run `sluice verify`"
            ) from None
