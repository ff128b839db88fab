"""The registry of one model: versions, and the log of decisions that says which of them is live, and why."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice import digests
from sluice.errors import ConflictError, IntegrityError, RegistryError
from sluice.registry.decision import BEGINNING, Decision
from sluice.registry.log import DecisionLog
from sluice.registry.state import State, advance, replay
from sluice.registry.version import MANIFEST_FILE, Version, load_version, store_version
from sluice.storage import Store

ATTEMPTS = 100
"""How often a decision that does not depend on the head is offered anew before it is given up."""


class Registry:
    """Versions and decisions of `model` in a store. `actor` is written into every decision, `clock` gives its time."""

    def __init__(self, store: Store, model: str, *, clock: Callable[[], datetime], actor: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", model):
            raise RegistryError(f"{model!r} is no name for a model", "use letters, digits, '_', '-' and '.'")
        if not actor.strip():
            raise RegistryError("a decision has to name who makes it", "pass the actor")
        self.store, self.model, self.actor = store, model, actor
        self._clock = clock
        self._log = DecisionLog(store, model)

    # Versions

    def add_version(self, folder: Path, document: dict[str, Any]) -> Version:
        """Store all files below `folder` with a JSON document; the same contents give the same version."""
        return store_version(self.store, self.model, folder, document)

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

    def fetch(self, version: Version, folder: Path) -> Path:
        """Write a version's files and its manifest `version.json` below `folder`; every digest is checked."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, digest in version.files.items():
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise IntegrityError(f"version {version.digest} names a file outside of it: {name}", "do not use it")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.store.get_blob(digest))
        (folder / MANIFEST_FILE).write_bytes(digests.canonical_json(version.manifest()))
        return folder

    # What the log says

    def log(self) -> list[Decision]:
        """All decisions, first to last."""
        return list(self._log.entries())

    def head(self) -> int:
        """Number of the last decision; 0 when there is none."""
        return len(self._log.entries())

    def state(self) -> State:
        """What the log says now."""
        return self._replayed(self._log.entries())

    def champion(self) -> Version | None:
        """The live version."""
        digest = self.state().champion
        return None if digest is None else self.version(digest)

    def openings(self, seal_digest: str) -> int:
        """How often this sealed test was opened."""
        return sum(d.kind == "opened" and d.figures.get("seal") == seal_digest for d in self._log.entries())

    # Decisions

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
        stored = {name: self.store.put_blob(data) for name, data in sorted((evidence or {}).items())}
        return self._log.append(replace(decision, evidence=stored))

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

    def approve(self, version: str | None = None, *, reason: str) -> Decision:
        """Make a version that awaits approval (default: the only one) the champion."""
        state = self.state()
        if version is None and len(state.awaiting) == 1:
            version = next(iter(state.awaiting))
        if version is None:
            raise RegistryError(f"{len(state.awaiting)} versions of {self.model} await approval", "name the version")
        return self.decide("approved", version=version, expected_head=self.head(), reason=reason)

    def rollback(self, version: str | None = None, *, reason: str) -> Decision:
        """Make an earlier live version (default: the one before) the champion again."""
        live = self.state().live
        if version is None and len(live) < 2:
            raise RegistryError(f"no version of {self.model} was live before", "there is nothing to roll back to")
        return self.decide("rolled-back", version=version or live[-2], expected_head=self.head(), reason=reason)

    def pin(self, *, reason: str) -> Decision:
        """Keep the champion where it is until `unpin`."""
        champion = self.state().champion
        if champion is None:
            raise RegistryError(f"{self.model} has no champion", "there is nothing to pin")
        return self.decide("pinned", version=champion, expected_head=self.head(), reason=reason)

    def unpin(self, *, reason: str) -> Decision:
        """Let promotions happen again."""
        return self.decide("unpinned", version=None, expected_head=self.head(), reason=reason)

    def freeze(self, *, reason: str) -> Decision:
        """Stop promotion and retraining until `unfreeze`."""
        return self.decide("frozen", version=None, expected_head=self.head(), reason=reason)

    def unfreeze(self, *, reason: str) -> Decision:
        """Let promotion and retraining happen again."""
        return self.decide("unfrozen", version=None, expected_head=self.head(), reason=reason)

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
