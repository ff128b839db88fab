"""Make decisions: what the log says now, and how the next entry gets into it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice.errors import ConflictError, IntegrityError, RegistryError
from sluice.registry.decision import BEGINNING, Decision
from sluice.registry.keys import Keys
from sluice.registry.log import DecisionLog
from sluice.registry.rows import register_rows
from sluice.registry.signing import store_signature
from sluice.registry.state import State, advance, replay
from sluice.registry.version import ROW_TABLES, Version, load_version
from sluice.storage import Store

ATTEMPTS = 100
"""How often a decision that does not depend on the head is offered anew before it is given up."""
SIGNED_BEFORE = frozenset({"promoted", "approved", "awaiting-approval", "rolled-back"})
"""Kinds that make a version live, or nearly: with a key, the version is signed first."""


class Decisions:
    """The decisions of `model` in a store. `actor` is written into every one, `clock` gives its time."""

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

    def decide(
        self,
        kind: str,
        *,
        version: str | None,
        expected_head: int,
        reason: str = "",
        evidence: Mapping[str, bytes | Path] | None = None,
        figures: dict[str, Any] | None = None,
    ) -> Decision:
        """Append a decision that was made against the log's entry `expected_head`.

        Args:
            evidence: what the decision rests on (verdict, card, report, sealed scores); stored before the entry.
                Tables of rows (`.parquet`) are registered, so that a person's rows can be forgotten.
            figures: small JSON figures that are kept in the entry itself.

        Raises:
            ConflictError: the head is another by now: read head and champion anew.
            RegistryError: the move is illegal, or the version is unknown.
        """
        entries = self._log.entries()
        if len(entries) != expected_head:
            raise ConflictError(
                f"the log of {self.model} is at {len(entries)}, the decision was made at {expected_head}",
                "read the head and the champion anew; if the champion changed, run the gate again",
            )
        if version is not None:
            version = self.version(version).digest
        decision = Decision(
            self.model,
            expected_head + 1,
            kind,
            version,
            expected_head,
            entries[-1].digest if entries else BEGINNING,
            self.actor,
            reason.strip(),
            self._clock(),
            {},
            figures or {},
            secrets.token_hex(8),
        )
        advance(self._replayed(entries), decision)
        decision = replace(decision, evidence=self._stored(evidence or {}))
        if self.keys is not None:
            if version is not None and kind in SIGNED_BEFORE:
                store_signature(self.store, self.version(version), self.keys)
            decision = replace(decision, signature=self.keys.sign(decision.signed_part()))
        return self._log.append(decision)

    def settle(
        self,
        kind: str,
        *,
        version: str,
        against: str | None,
        reason: str = "",
        evidence: Mapping[str, bytes | Path] | None = None,
        figures: dict[str, Any] | None = None,
    ) -> Decision:
        """Append a gate's decision; `against` is the digest of the champion that the challenger was compared with.

        Entries of others that leave the champion as it was do not matter: head and champion are read anew.

        Raises:
            ConflictError: the champion is another by now: the gate has to run again.
        """

        def attempt(head: int) -> Decision:
            champion = self.state().champion
            if champion != against:
                raise _ChampionChangedError(
                    f"the champion of {self.model} is {champion or 'none'}, the gate compared with {against or 'none'}",
                    "run the gate again",
                )
            return self.decide(
                kind, version=version, expected_head=head, reason=reason, evidence=evidence, figures=figures
            )

        return self._retried(attempt)

    def record_opening(self, seal_digest: str, *, version: str | None = None, limit: int | None = None) -> Decision:
        """Record that the sealed test is opened, before it is.

        Raises:
            RegistryError: it was opened `limit` times already.
        """

        def attempt(head: int) -> Decision:
            count = self.openings(seal_digest)
            if limit is not None and count >= limit:
                raise RegistryError(
                    f"the sealed test {seal_digest[:12]} was opened {count} times, {limit} are allowed",
                    "collect newer data for a new seal, or raise gate.max_openings and say why",
                )
            return self.decide(
                "opened", version=version, expected_head=head, figures={"seal": seal_digest, "opening": count + 1}
            )

        return self._retried(attempt)

    def record_forgotten(self, tables: list[dict[str, Any]], *, reason: str) -> Decision:
        """Record which stored tables lost rows; see `sluice.registry.forgetting`."""
        return self._retried(
            lambda head: self.decide(
                "forgotten", version=None, expected_head=head, reason=reason, figures={"tables": tables}
            )
        )

    def _stored(self, evidence: Mapping[str, bytes | Path]) -> dict[str, str]:
        stored = {}
        for name, data in sorted(evidence.items()):
            stored[name] = self.store.put_blob(data)
            if name.endswith(ROW_TABLES):
                register_rows(self.store, self.model, stored[name], name)
        return stored

    def _retried(self, attempt: Callable[[int], Decision]) -> Decision:
        for _ in range(ATTEMPTS):
            try:
                return attempt(self.head())
            except _ChampionChangedError as error:
                raise ConflictError(error.message, error.hint) from None
            except ConflictError:
                continue
        raise ConflictError(f"{self.model}'s log is too busy: lost {ATTEMPTS} times", "run again later")

    def _replayed(self, entries: tuple[Decision, ...]) -> State:
        try:
            return replay(entries)
        except RegistryError as error:
            raise IntegrityError(
                f"the log of {self.model} holds an illegal move: {error.message}", "run `sluice verify`"
            ) from None


class _ChampionChangedError(ConflictError):
    """Trying again cannot help."""
