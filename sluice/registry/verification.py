"""Check a whole store: every blob against its name, every log against its chain, every reference and signature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sluice.errors import RegistryError, SluiceError
from sluice.registry.decision import BEGINNING, Decision
from sluice.registry.formats import read_document
from sluice.registry.keys import Keys
from sluice.registry.log import entry_key
from sluice.registry.moves import advance
from sluice.registry.references import models, tombstones
from sluice.registry.signing import fetch_signature, verify_folder
from sluice.registry.state import State
from sluice.registry.version import Version, fetch_version, load_version
from sluice.storage import Store, blob_key


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was written: where, and what."""

    where: str
    what: str


@dataclass(frozen=True)
class Verification:
    """All problems of a store, and how many things of each kind were looked at."""

    problems: tuple[Problem, ...]
    checked: dict[str, int]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(
    store: Store, keys: Keys | None = None, *, progress: Callable[[str, int], None] | None = None
) -> Verification:
    """Check everything, and go on after each problem.

    Args:
        keys: with them every decision, and every version that was live, has to be signed.
        progress: called with what is looked at and how many were.
    """
    return _Check(store, keys, progress).run()


class _Check:
    def __init__(self, store: Store, keys: Keys | None, progress: Callable[[str, int], None] | None) -> None:
        self._store, self._keys, self._progress = store, keys, progress
        self._problems: list[Problem] = []
        self._checked: Counter[str] = Counter()
        self._present: set[str] = set()

    def run(self) -> Verification:
        self._blobs()
        logs = {model: list(self._log(model)) for model in models(self._store)}
        # Models may share a blob; whichever forgot it, it is gone for all.
        gone = tombstones(decision for log in logs.values() for decision in log)
        self._forgotten(gone)
        for model, log in logs.items():
            self._replay(model, log)
            self._evidence(log, gone)
            self._versions(model, log)
            self._runs(model)
            self._data(model, gone)
        return Verification(tuple(self._problems), dict(self._checked))

    def _blobs(self) -> None:
        with TemporaryDirectory(prefix="sluice-verify-") as scratch:
            for key in self._store.keys("blobs"):
                digest = key.rsplit("/", 1)[-1]
                self._present.add(digest)
                self._count("blobs")
                found = self._tried(key, self._store.get_to_file, key, Path(scratch) / "blob")
                if found is not None and (found != digest or key != blob_key(digest)):
                    self._problem(key, f"the bytes have digest {found}")

    def _log(self, model: str) -> Iterator[Decision]:
        names = sorted(self._store.keys(f"registry/{model}/log"))
        numbers = [int(name) for key in names if (name := key.rsplit("/", 1)[-1].removesuffix(".json")).isdigit()]
        versions = self._tried(f"registry/{model}/log", self._store.versions, f"registry/{model}/log") or {}
        for key in sorted(key for key, count in versions.items() if count > 1):
            self._problem(key, f"was overwritten or deleted: the store holds {versions[key]} versions of it")
        previous: str | None = BEGINNING
        for number in range(1, max(numbers, default=0) + 1):
            key = entry_key(model, number)
            self._count("decisions")
            if key not in names:
                self._problem(key, "this entry of the log is missing")
                previous = None
                continue
            decision = self._tried(key, self._decoded, key)
            if decision is None:
                previous = None
                continue
            if (decision.number, decision.model) != (number, model):
                self._problem(key, f"says that it is entry {decision.number} of {decision.model}")
            if previous is not None and decision.previous != previous:
                self._problem(key, "does not hold the hash of the entry before it")
            self._signed(key, decision)
            previous = decision.digest
            yield decision

    def _signed(self, key: str, decision: Decision) -> None:
        if self._keys is not None:
            self._tried(key, self._keys.check, decision.signed_part(), decision.signature, "the decision")

    def _replay(self, model: str, log: list[Decision]) -> None:
        state = State()
        for decision in log:
            try:
                state = advance(state, decision)
            except RegistryError as error:
                self._problem(entry_key(model, decision.number), f"is no legal move: {error.message}")

    def _evidence(self, log: list[Decision], gone: dict[str, Decision]) -> None:
        for decision in log:
            for name, digest in decision.evidence.items():
                self._count("evidence")
                if digest not in gone and self._missing(digest):
                    self._problem(entry_key(decision.model, decision.number), f"its {name} ({digest}) is missing")

    def _forgotten(self, gone: dict[str, Decision]) -> None:
        for digest, decision in gone.items():
            if digest in self._present:
                self._problem(blob_key(digest), f"is still there, although decision {decision.number} forgot it")

    def _versions(self, model: str, log: list[Decision]) -> None:
        stored = {
            key.rsplit("/", 1)[-1].removesuffix(".json") for key in self._store.keys(f"registry/{model}/versions")
        }
        for decision in log:
            if decision.version and decision.version not in stored:
                self._problem(entry_key(model, decision.number), f"its version {decision.version} is missing")
        live = {d.version for d in log if d.kind in ("promoted", "approved", "cleared", "rolled-back")}
        for digest in sorted(stored):
            self._version(model, digest, must_be_signed=digest in live)

    def _version(self, model: str, digest: str, *, must_be_signed: bool) -> None:
        where = f"registry/{model}/versions/{digest}.json"
        self._count("versions")
        version = self._tried(where, load_version, self._store, model, digest)
        if version is None:
            return
        missing = [name for name, blob in version.files.items() if self._missing(blob)]
        for name in missing:
            self._problem(where, f"its file {name} ({version.files[name]}) is missing")
        if self._keys is None or missing or not must_be_signed:
            return
        self._count("signatures")
        self._tried(where, self._signature, version, self._keys)

    def _runs(self, model: str) -> None:
        for key in self._store.keys(f"registry/{model}/runs"):
            self._count("run documents")
            self._tried(key, self._document, key)

    def _data(self, model: str, gone: dict[str, Decision]) -> None:
        for key in self._store.keys(f"data/{model}"):
            self._count("row tables")
            digest = key.rsplit("/", 1)[-1].removesuffix(".json")
            self._tried(key, self._document, key)
            if digest not in gone and self._missing(digest):
                self._problem(key, f"its table ({digest}) is missing")

    def _signature(self, version: Version, keys: Keys) -> None:
        with TemporaryDirectory(prefix="sluice-verify-") as scratch:
            folder = fetch_version(self._store, version, Path(scratch) / version.digest)
            fetch_signature(self._store, version, folder, keys)
            verify_folder(folder, keys, version.digest)

    def _decoded(self, key: str) -> Decision:
        return Decision.decode(self._store.get(key), key)

    def _document(self, key: str) -> dict[str, Any]:
        return read_document(self._store.get(key), key)

    def _missing(self, digest: str) -> bool:
        # What was written while we looked is not in the list.
        return digest not in self._present and not self._store.exists(blob_key(digest))

    def _tried(self, where: str, action: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return action(*arguments)
        except SluiceError as error:
            self._problem(where, error.message)
            return None

    def _count(self, what: str) -> None:
        self._checked[what] += 1
        if self._progress is not None:
            self._progress(what, self._checked[what])

    def _problem(self, where: str, what: str) -> None:
        self._problems.append(Problem(where, what))
