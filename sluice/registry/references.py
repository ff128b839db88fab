"""What in a store refers to what: the ground of `verify`, `collect_garbage` and `forget`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sluice.registry.decision import Decision
from sluice.registry.log import DecisionLog
from sluice.registry.version import load_version
from sluice.storage import Store

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass
class References:
    """Digests that something refers to, and those that were removed on purpose.

    Attributes:
        blobs: digest of a blob to what names it.
        versions: (model, digest) of versions that a decision or a run names.
        tombstones: digest of a removed blob to the decision that says why.
    """

    blobs: dict[str, str] = field(default_factory=dict)
    versions: set[tuple[str, str]] = field(default_factory=set)
    tombstones: dict[str, Decision] = field(default_factory=dict)


def models(store: Store) -> list[str]:
    """All models that a store knows."""
    return sorted({parts[1] for key in store.keys("registry") if len(parts := key.split("/")) > 2})


def tombstones(log: Iterable[Decision]) -> dict[str, Decision]:
    """Digest of each blob that was removed on purpose, with the decision that says why."""
    return {
        removed["removed"]: decision
        for decision in log
        if decision.kind == "forgotten"
        for removed in decision.figures.get("tables", [])
    }


def references(store: Store) -> References:
    """Everything that logs and runs refer to, over all models.

    Raises:
        IntegrityError: a log or manifest is broken; nothing may be removed on such ground.
    """
    found = References()
    for model in models(store):
        log = DecisionLog(store, model).entries()
        found.tombstones |= tombstones(log)
        named = {decision.version for decision in log if decision.version}
        for decision in log:
            for digest in decision.evidence.values():
                found.blobs[digest] = f"decision {decision.number} of {model}"
            for table in decision.figures.get("tables", []):
                if decision.kind == "forgotten" and table["replaced_by"]:
                    found.blobs[table["replaced_by"]] = f"decision {decision.number} of {model}"
        for run_digest, run_key in _named_by_runs(store, model):
            found.blobs.setdefault(run_digest, run_key)
            named.add(run_digest)
        for digest in named:
            if store.exists(f"registry/{model}/versions/{digest}.json"):
                found.versions.add((model, digest))
                for blob in load_version(store, model, digest).files.values():
                    found.blobs[blob] = f"version {digest} of {model}"
    return found


def _named_by_runs(store: Store, model: str) -> Iterator[tuple[str, str]]:
    for key in store.keys(f"registry/{model}/runs"):
        if key.endswith("/finished.json"):
            for digest in _DIGEST.findall(store.get(key).decode(errors="replace")):
                yield digest, key
