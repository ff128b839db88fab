"""A training's state in the store, so that a killed one goes on where it was. NumPy arrays and JSON, no pickle."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import sluice.export
import sluice.features
from sluice import digests
from sluice.storage import Store

_DOCUMENT = "document"


@dataclass(frozen=True)
class State:
    """Arrays by name and the plain values beside them (`document`: JSON)."""

    arrays: dict[str, np.ndarray]
    document: dict[str, Any]

    def to_bytes(self) -> bytes:
        """An .npz without pickled objects."""
        text = np.frombuffer(digests.canonical_json(self.document), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{_DOCUMENT: text}, **self.arrays)
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> State:
        """Inverse of `to_bytes`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return State(arrays, json.loads(arrays.pop(_DOCUMENT).tobytes()))


@dataclass(frozen=True)
class Checkpoints:
    """The states of one training, under the digest of its data, settings and code.

    Attributes:
        store: where they lie.
        digest: of everything that the training's result depends on.
    """

    store: Store
    digest: str

    def save(self, epoch: int, state: State) -> None:
        """Keep the state after `epoch`, then drop the one before: a kill in between leaves both."""
        self.store.put(self._key(epoch), state.to_bytes())
        if epoch > 1:
            self.store.delete(self._key(epoch - 1))

    def latest(self) -> State | None:
        """The state of the last whole epoch, or None. One that a power cut tore counts as never written."""
        for key in sorted(self.store.keys(self._folder), reverse=True):
            try:
                return State.from_bytes(self.store.get(key))
            except (zipfile.BadZipFile, ValueError, KeyError, EOFError):
                continue
        return None

    def clear(self) -> None:
        """Remove them: the training's result is written."""
        for key in list(self.store.keys(self._folder)):
            self.store.delete(key)

    @property
    def _folder(self) -> str:
        return f"checkpoints/{self.digest}"

    def _key(self, epoch: int) -> str:
        return f"{self._folder}/epoch-{epoch:05d}.npz"


@cache
def code_digest() -> str:
    """SHA-256 over the sources that decide what a training gives."""
    folders = [Path(__file__).parent, *(Path(p) for m in (sluice.export, sluice.features) for p in m.__path__)]
    files = sorted((file for folder in folders for file in folder.glob("*.py")), key=lambda f: (f.parent.name, f.name))
    return digests.of_json([[file.parent.name, file.name, digests.of_file(file)] for file in files])
