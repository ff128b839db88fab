"""Which stored blobs hold rows of people: each is registered under `data/`, so that rows can be found and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sluice import digests
from sluice.registry.formats import FORMAT, read_document
from sluice.storage import Store


@dataclass(frozen=True)
class RowTable:
    """A registered blob: `name` is what it was stored as (`sealed_scores.parquet`)."""

    model: str
    digest: str
    name: str


def store_rows(store: Store, model: str, data: bytes | Path, name: str) -> str:
    """Store a Parquet table with rows of people, for what is not evidence of a decision. Returns its digest."""
    digest = store.put_blob(data)
    register_rows(store, model, digest, name)
    return digest


def register_rows(store: Store, model: str, digest: str, name: str) -> None:
    """Say that a stored blob holds rows."""
    document = {"format": FORMAT, "model": model, "digest": digest, "name": name}
    store.put_if_absent(rows_key(model, digest), digests.canonical_json(document))


def row_tables(store: Store, model: str) -> Iterator[RowTable]:
    """All registered tables of a model."""
    for key in sorted(store.keys(f"data/{model}")):
        document = read_document(store.get(key), key)
        yield RowTable(document["model"], document["digest"], document["name"])


def rows_key(model: str, digest: str) -> str:
    """Where the registration of a table lies."""
    return f"data/{model}/{digest}.json"
