"""A version that can be scored with: a folder whose every byte is what its digest and its signature say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice import digests
from sluice.errors import IntegrityError
from sluice.features.schema import FeatureSchema
from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.registry.signing import read_folder, verify_folder
from sluice.registry.version import Version, threshold_of
from sluice.settings import parse_use_case
from sluice.settings.use_case import UseCase

GRAPH, SCHEMA, SETTINGS = "model.onnx", "schema.json", "settings.json"


@dataclass(frozen=True)
class Servable:
    """A verified version, ready to be scored with."""

    digest: str
    model: str
    use_case: UseCase
    schema: FeatureSchema
    graph: bytes
    document: dict[str, Any]

    @property
    def threshold(self) -> float:
        """Scores from here on count as positive; .5 for a version without a threshold of its own."""
        return threshold_of(self.document)


def load_servable(folder: Path, digest: str, keys: Keys | None = None) -> Servable:
    """The version in `folder` (what `Registry.fetch` writes), when it is the one with this digest and signed.

    What is served are the very bytes that were hashed here.

    Args:
        keys: whose public ones are trusted; None only where the signature was checked before (or there is no gate).

    Raises:
        IntegrityError: a file is missing, is not what the digest says, or no trusted key signed the version.
    """
    version = read_folder(folder) if keys is None else verify_folder(folder, keys, digest)
    if version.digest != digest:
        raise IntegrityError(f"{folder} holds version {version.digest}, expected {digest}", "fetch the version anew")
    graph = str(version.document.get("graph", GRAPH))
    missing = [name for name in (graph, SCHEMA, SETTINGS) if name not in version.files]
    if missing:
        raise IntegrityError(f"version {digest[:12]} has no {', '.join(missing)}", "it is not a version for serving")
    schema, settings = (_read(folder, version, name) for name in (SCHEMA, SETTINGS))
    return Servable(
        digest,
        version.model,
        _use_case(json.loads(settings), str(folder / SETTINGS)),
        FeatureSchema.from_document(json.loads(schema)),
        _read(folder, version, graph),
        version.document,
    )


def load_champion(registry: Registry, folder: Path) -> Servable:
    """The live version, fetched into an empty folder and verified against log, digests and signature.

    Raises:
        RegistryError: nothing is live. IntegrityError: it is not what the gate signed.
    """
    champion = registry.fetch_champion(folder)
    return load_servable(folder, champion.digest, registry.keys)


def _use_case(settings: dict[str, Any], where: str) -> UseCase:
    """A version's settings leave the gate's policy out: it judged the version and is no part of it."""
    return parse_use_case({"gate": {"metric": settings["training"]["metric"]}, **settings}, where)


def _read(folder: Path, version: Version, name: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise IntegrityError(f"{folder / name} cannot be read: {error.strerror}", "fetch the version anew") from None
    if digests.of_bytes(data) != version.files[name]:
        raise IntegrityError(f"{folder / name} changed while it was read", "fetch the version anew")
    return data
