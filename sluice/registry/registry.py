"""The registry of one model: versions, which of them is live, and what people decide about it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sluice.errors import RegistryError
from sluice.registry.decision import Decision
from sluice.registry.decisions import Decisions
from sluice.registry.signing import fetch_signature, verify_folder
from sluice.registry.story import why
from sluice.registry.version import Version, fetch_version, store_version


class Registry(Decisions):
    """Versions and decisions of a model in a store.

    With `keys`, decisions and versions are signed (where the private key is), and none is believed unsigned.
    """

    def add_version(self, folder: Path, document: dict[str, Any]) -> Version:
        """Store all files below `folder` with a JSON document; the same contents give the same version."""
        return store_version(self.store, self.model, folder, document)

    def fetch(self, version: Version, folder: Path) -> Path:
        """Write a version's files, `version.json` and, when it is signed, `version.sig` below `folder`.

        Raises:
            IntegrityError: stored bytes are not what their name says.
        """
        fetch_version(self.store, version, folder)
        fetch_signature(self.store, version, folder, self.keys)
        return folder

    def verify_signature(self, version: Version) -> None:
        """Raise unless the stored version, byte for byte, is signed by a trusted key.

        Raises:
            IntegrityError: it is not.
            RegistryError: this registry was opened without keys.
        """
        with TemporaryDirectory(prefix="sluice-verify-") as scratch:
            self._verified(version, Path(scratch) / version.digest)

    def fetch_champion(self, folder: Path) -> Version:
        """Fetch the live version into an empty folder and check log, digests and signature: what a server loads.

        Raises:
            IntegrityError: something is not what the gate signed.
            RegistryError: there is no champion, or this registry was opened without keys.
        """
        champion = self.champion()
        if champion is None:
            raise RegistryError(f"{self.model} has no champion", "`sluice run` makes the first one")
        self._verified(champion, folder)
        return champion

    def _verified(self, version: Version, folder: Path) -> None:
        if self.keys is None:
            raise RegistryError("there are no keys to check signatures with", "pass the folder with gate.pub")
        verify_folder(self.fetch(version, folder), self.keys, version.digest)

    def champion(self) -> Version | None:
        """The live version, as the log says."""
        digest = self.state().champion
        return None if digest is None else self.version(digest)

    def why(self) -> dict[str, Any]:
        """What is live and why: see `sluice.registry.story.why`."""
        return why(self)

    def approve(self, version: str | None = None, *, reason: str, rollout: bool = False) -> Decision:
        """Make a version that awaits approval (default: the only one) the champion, or clear it for a rollout."""
        # The head first: what is read after it is at least as new, and a change in between makes a conflict.
        head, state = self.head(), self.state()
        if version is None and len(state.awaiting) == 1:
            version = next(iter(state.awaiting))
        if version is None:
            raise RegistryError(f"{len(state.awaiting)} versions of {self.model} await approval", "name the version")
        figures = {"rollout": True} if rollout and state.champion is not None else {}
        return self.decide("approved", version=version, expected_head=head, reason=reason, figures=figures)

    def rollback(self, version: str | None = None, *, reason: str) -> Decision:
        """Make an earlier live version (default: the one before) the champion again."""
        head, live = self.head(), self.state().live
        if version is None and len(live) < 2:
            raise RegistryError(f"no version of {self.model} was live before", "there is nothing to roll back to")
        return self.decide("rolled-back", version=version or live[-2], expected_head=head, reason=reason)

    def pin(self, *, reason: str) -> Decision:
        """Keep the champion where it is until `unpin`."""
        head, champion = self.head(), self.state().champion
        if champion is None:
            raise RegistryError(f"{self.model} has no champion", "there is nothing to pin")
        return self.decide("pinned", version=champion, expected_head=head, reason=reason)

    def unpin(self, *, reason: str) -> Decision:
        """Let promotions and rollbacks happen again."""
        return self.decide("unpinned", version=None, expected_head=self.head(), reason=reason)

    def freeze(self, *, reason: str) -> Decision:
        """Stop promotion and retraining until `unfreeze`."""
        return self.decide("frozen", version=None, expected_head=self.head(), reason=reason)

    def unfreeze(self, *, reason: str) -> Decision:
        """Let promotion and retraining happen again."""
        return self.decide("unfrozen", version=None, expected_head=self.head(), reason=reason)
