"""What the server loads: a version's folder whose every byte is what its digest and its signature say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice import digests
from sluice.errors import IntegrityError
from sluice.features.schema import FeatureSchema
from sluice.settings import parse_use_case
from sluice.settings.use_case import UseCase

MANIFEST, GRAPH, SCHEMA, SETTINGS = "version.json", "model.onnx", "schema.json", "settings.json"
_RESTORE = "fetch the version again from the store (`sluice serve` does); `sluice verify` checks the store"


@dataclass(frozen=True)
class Servable:
    """A verified version, ready to be served."""

    digest: str
    model: str
    use_case: UseCase
    schema: FeatureSchema
    graph: bytes
    document: dict[str, Any]


def load_servable(folder: Path, digest: str) -> Servable:
    """The version in `folder` (what `Registry.fetch` writes), when it is the one with this digest.

    Every file is hashed as it is read, and the graph is served from those very bytes.

    Raises:
        IntegrityError: a file is missing, or is not what the digest says.
    """
    manifest = _read(folder / MANIFEST)
    found = digests.of_bytes(manifest)
    if found != digest:
        raise IntegrityError(f"{folder} holds version {found[:12]}, not {digest[:12]}", _RESTORE)
    content = json.loads(manifest)
    names: dict[str, str] = content["files"]
    document: dict[str, Any] = content["document"]
    graph = document.get("graph", GRAPH)
    missing = [name for name in (graph, SCHEMA, SETTINGS) if name not in names]
    if missing:
        raise IntegrityError(f"version {digest[:12]} has no {', '.join(missing)}", "it is not a version for serving")
    files = {name: _verified(folder, name, expected) for name, expected in names.items()}
    return Servable(
        digest,
        content["model"],
        _use_case(json.loads(files[SETTINGS]), f"{folder / SETTINGS}"),
        FeatureSchema.from_document(json.loads(files[SCHEMA])),
        files[graph],
        document,
    )


def _use_case(settings: dict[str, Any], where: str) -> UseCase:
    """A version's settings leave the gate's policy out: it judged the version and is no part of it."""
    return parse_use_case({"gate": {"metric": settings["training"]["metric"]}, **settings}, where)


def _verified(folder: Path, name: str, expected: str) -> bytes:
    data = _read(folder / name)
    found = digests.of_bytes(data)
    if found != expected:
        raise IntegrityError(f"{folder / name} has digest {found[:12]}, the version says {expected[:12]}", _RESTORE)
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}", _RESTORE) from None
