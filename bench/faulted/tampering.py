"""A store whose bytes somebody changed: nothing of it is believed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from faulted.fault import Fault, refused, require
from faulted.place import Place
from sluice import digests
from sluice.registry import Keys, Registry, verify
from sluice.registry.log import entry_key
from sluice.registry.version import manifest_key
from sluice.storage import blob_key

Spoil = Callable[[Registry, str], str]
"""Changes the store of a registry whose champion has this digest; returns the key that it changed."""


def _tampered(sign: str, spoil: Spoil, place: Place) -> str:
    """Nothing that was tampered with is fetched or believed; restored, all is as before."""
    use_case = place.copy("tampered")
    registry = place.registry(use_case)
    champion = place.champion()
    before = {key: registry.store.get(key) for key in list(registry.store.keys(""))}
    changed = spoil(registry, champion.digest)
    target = place.folder / "fetched"
    with refused(sign) as told:
        shutil.rmtree(target, ignore_errors=True)
        place.registry(use_case).fetch_champion(target)
    found = verify(registry.store, registry.keys)
    require(not found.sound, "`sluice verify` did not see it")
    registry.store.delete(changed)
    if changed in before:
        registry.store.put(changed, before[changed])
    place.check_sound(use_case)
    again = place.registry(use_case).champion()
    require(again is not None and again.digest == champion.digest, "restored, the champion is another")
    return f"{told[0].replace(str(place.folder), '…')}; verify names {len(found.problems)}; restored: sound"


def _graph_flipped(registry: Registry, champion: str) -> str:
    key = blob_key(registry.version(champion).files["model.onnx"])
    data = bytearray(registry.store.get(key))
    data[len(data) // 2] ^= 1
    registry.store.put(key, bytes(data))
    return key


def _blob_cut(registry: Registry, champion: str) -> str:
    key = blob_key(registry.version(champion).files["train_rows.npy"])
    data = registry.store.get(key)
    registry.store.put(key, data[: len(data) // 2])
    return key


def _manifest_forged(registry: Registry, champion: str) -> str:
    key = manifest_key(registry.model, champion)
    document = json.loads(registry.store.get(key))
    registry.store.put(key, digests.canonical_json({**document, "document": {"threshold": 0.0}}))
    return key


def _signature_gone(registry: Registry, champion: str) -> str:
    key = next(iter(registry.store.keys(f"registry/{registry.model}/signatures/{champion}")))
    registry.store.delete(key)
    return key


def _promoted_without_key(registry: Registry, _champion: str) -> str:
    forger = Registry(registry.store, registry.model, clock=lambda: datetime.now(UTC), actor="gate")
    forger.decide("frozen", version=None, expected_head=forger.head(), reason="forged")
    return entry_key(registry.model, forger.head())


def _entry_changed(registry: Registry, champion: str) -> str:
    key = entry_key(registry.model, next(d.number for d in registry.log() if d.kind == "promoted"))
    registry.store.put(key, registry.store.get(key).replace(champion.encode(), b"0" * 64))
    return key


def _entry_signed_by_stranger(registry: Registry, _champion: str) -> str:
    assert registry.keys is not None
    key = entry_key(registry.model, registry.head())
    document = json.loads(registry.store.get(key))
    document.pop("signature")
    stranger = Keys.ensure(registry.keys.folder.parent / "stranger")
    document["signature"] = stranger.sign(digests.canonical_json(document))
    registry.store.put(key, digests.canonical_json(document))
    return key


def _entry_gone(registry: Registry, _champion: str) -> str:
    key = entry_key(registry.model, 1)
    registry.store.delete(key)
    return key


_TAMPERED: list[tuple[str, str, Spoil]] = [
    ("a bit of the champion's graph flipped in the store", "holds bytes with digest", _graph_flipped),
    ("a blob of the champion cut off", "holds bytes with digest", _blob_cut),
    ("the champion's manifest forged", "is not what its name says", _manifest_forged),
    ("the champion's signature removed", "is not signed", _signature_gone),
    ("a decision forged by somebody without the key", "is not signed", _promoted_without_key),
    ("the champion in the log replaced", "changed after it was signed", _entry_changed),
    ("the last decision signed anew by a stranger's key", "not trusted", _entry_signed_by_stranger),
    ("an entry of the log deleted", "misses entry", _entry_gone),
]
FAULTS = [
    Fault(name, "refused before anything is served, named by verify", partial(_tampered, sign, spoil))
    for name, sign, spoil in _TAMPERED
]
