"""Make decisions: how the next entry gets into the log."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice.errors import ConflictError, RegistryError
from sluice.registry.decision import BEGINNING, Decision
from sluice.registry.moves import advance
from sluice.registry.records import Records
from sluice.registry.rows import register_rows
from sluice.registry.signing import store_signature
from sluice.registry.version import ROW_TABLES

ATTEMPTS = 100
"""How often a decision that does not depend on the head is offered anew before it is given up."""
SIGNED_BEFORE = frozenset({"promoted", "approved", "awaiting-approval", "cleared", "rolled-back"})
"""Kinds that make a version live, or nearly: with a key, the version is signed first."""


class Decisions(Records):
    """The records of a model, and how the next decision gets among them."""

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

    def note(self, kind: str, *, version: str, reason: str, figures: dict[str, Any]) -> Decision:
        """Append a rollout's decision; entries of others in between do not matter while it stays a legal move."""
        return self._retried(
            lambda head: self.decide(kind, version=version, expected_head=head, reason=reason, figures=figures)
        )

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


class _ChampionChangedError(ConflictError):
    """Trying again cannot help."""
