"""A version: named files and a document, under the digest of both. Equal contents are one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice import digests
from sluice.errors import IntegrityError, RegistryError
from sluice.registry.formats import FORMAT, read_document
from sluice.storage import Store

MANIFEST_FILE, SIGNATURE_FILE = "version.json", "version.sig"
"""Names in a fetched folder that no file of a version may have."""
ROW_TABLES = (".parquet", ".csv", ".arrow", ".feather")
"""Files with rows of people do not belong into a version: its bytes must stay while it can be served."""


@dataclass(frozen=True)
class Version:
    """What can be served: `files` maps names to SHA-256 of blobs, `document` says where they come from."""

    digest: str
    model: str
    files: dict[str, str]
    document: dict[str, Any]

    def manifest(self) -> dict[str, Any]:
        """The stored form, whose digest is the version's name."""
        return {"format": FORMAT, "model": self.model, "files": self.files, "document": self.document}


def manifest_key(model: str, digest: str) -> str:
    """Where a version's manifest lies."""
    return f"registry/{model}/versions/{digest}.json"


def store_version(store: Store, model: str, folder: Path, document: dict[str, Any]) -> Version:
    """Store all files below `folder` and then the manifest that names them.

    Raises:
        RegistryError: the folder is empty, or holds tables of rows (they are evidence of a decision).
    """
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    for name in (MANIFEST_FILE, SIGNATURE_FILE):
        paths.pop(name, None)
    if not paths:
        raise RegistryError(f"{folder} holds no files for a version of {model}", "write the graph there first")
    rows = [name for name in paths if name.endswith(ROW_TABLES)]
    if rows:
        raise RegistryError(
            f"a version may not hold tables of rows: {', '.join(rows)}",
            "pass them as evidence of the decision, from where a person's rows can be forgotten",
        )
    files = {name: store.put_blob(path) for name, path in paths.items()}
    manifest = {"format": FORMAT, "model": model, "files": files, "document": document}
    data = digests.canonical_json(manifest)
    digest = digests.of_bytes(data)
    store.put_if_absent(manifest_key(model, digest), data)
    return Version(digest, model, files, document)


def threshold_of(document: Mapping[str, Any]) -> float:
    """Scores from here on count as positive: what a document has under `threshold`; .5 where it has none."""
    chosen = document.get("threshold")
    return 0.5 if chosen is None else float(chosen)


def fetch_version(store: Store, version: Version, folder: Path) -> Path:
    """Write a version's files and its manifest below `folder`, checking every digest.

    Raises:
        IntegrityError: stored bytes are not what their name says, or a file would lie outside of `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in version.files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"version {version.digest} names a file outside of it: {name}", "do not use it")
        target.parent.mkdir(parents=True, exist_ok=True)
        store.get_blob_to_file(digest, target)
    (folder / MANIFEST_FILE).write_bytes(digests.canonical_json(version.manifest()))
    return folder


def load_version(store: Store, model: str, digest: str) -> Version:
    """The version with this digest.

    Raises:
        RegistryError: there is no such version.
        IntegrityError: the manifest is not what its name says.
    """
    key = manifest_key(model, digest)
    if not store.exists(key):
        raise RegistryError(f"{model} has no version {digest}", "`sluice why` and `sluice runs` list versions")
    data = store.get(key)
    if digests.of_bytes(data) != digest:
        raise IntegrityError(
            f"{store.url}/{key} is not what its name says",
            "the manifest was changed from outside: restore it, then run `sluice verify`",
        )
    document = read_document(data, key)
    if document["model"] != model:
        raise IntegrityError(f"{store.url}/{key} belongs to {document['model']}", "run `sluice verify`")
    return Version(digest, model, document["files"], document["document"])
