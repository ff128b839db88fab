"""One entry of the decision log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sluice import digests
from sluice.errors import IntegrityError
from sluice.registry.formats import FORMAT, read_document

Kind = Literal[
    "opened",
    "promoted",
    "refused",
    "awaiting-approval",
    "approved",
    "cleared",
    "canary",
    "taken-back",
    "rolled-back",
    "pinned",
    "unpinned",
    "frozen",
    "unfrozen",
    "forgotten",
    "alerted",
    "retraining",
]
KINDS: tuple[str, ...] = get_args(Kind)
BY_PEOPLE = frozenset({"approved", "rolled-back", "pinned", "unpinned", "frozen", "unfrozen", "forgotten"})
"""Kinds that need a reason in words."""

BEGINNING = "0" * 64
"""The `previous` of the first entry."""


@dataclass(frozen=True)
class Decision:
    """Entry `number` of a model's log. `previous` is the SHA-256 of the stored bytes of the entry before.

    Attributes:
        head: number of the entry that the decision was made against.
        evidence: name to SHA-256 of a blob.
        nonce: tells two writers with equal entries apart.
        signature: by the gate's key, over the entry without it; None where no key is used.
        digest: SHA-256 of the stored bytes; empty before it is stored.
    """

    model: str
    number: int
    kind: str
    version: str | None
    head: int
    previous: str
    actor: str
    reason: str
    time: datetime
    evidence: dict[str, str]
    figures: dict[str, Any]
    nonce: str
    signature: dict[str, str] | None = None
    digest: str = field(default="", compare=False)

    def signed_part(self) -> bytes:
        """The bytes that the signature covers."""
        names = ("model", "number", "kind", "version", "head", "previous", "actor", "reason")
        document = {name: getattr(self, name) for name in names}
        document |= {"evidence": self.evidence, "figures": self.figures, "nonce": self.nonce}
        return digests.canonical_json(document | {"format": FORMAT, "time": self.time.isoformat()})

    def encode(self) -> bytes:
        """The bytes that are stored."""
        document = read_document(self.signed_part(), "decision")
        if self.signature is not None:
            document["signature"] = self.signature
        return digests.canonical_json(document)

    @staticmethod
    def decode(data: bytes, where: str) -> Decision:
        """Inverse of `encode`; raises as `read_document` does."""
        document = read_document(data, where)
        document.pop("format")
        try:
            time = datetime.fromisoformat(document.pop("time"))
            return Decision(**document, time=time, digest=digests.of_bytes(data))
        except (TypeError, KeyError, ValueError):
            raise IntegrityError(f"{where} is not a decision", "restore it, then run `sluice verify`") from None
