"""Signatures: only what the gate's key signed is believed or served."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice import digests
from sluice.errors import IntegrityError, RegistryError
from sluice.registry import Keys, Registry, Version, verify_folder
from sluice.storage import Store, blob_key

Add = Callable[[Registry, str], Version]


@pytest.fixture
def signed(any_store: Store, clock: Callable[[], object], keys: Keys) -> Registry:
    return Registry(any_store, "fraud", clock=clock, actor="gate", keys=keys)  # type: ignore[arg-type]


@pytest.fixture
def server(signed: Registry, tmp_path: Path) -> Registry:
    """The same registry as a model server sees it: with the public key alone."""
    assert signed.keys is not None
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "gate.pub").write_bytes((signed.keys.folder / "gate.pub").read_bytes())
    return Registry(signed.store, "fraud", clock=signed._clock, actor="server", keys=Keys.open(folder))


def test_a_server_loads_what_the_gate_signed(signed: Registry, server: Registry, add: Add, tmp_path: Path) -> None:
    version = add(signed, "a")
    with pytest.raises(RegistryError, match="no champion"):
        server.fetch_champion(tmp_path / "early")
    signed.settle("promoted", version=version.digest, against=None)
    assert server.fetch_champion(tmp_path / "out") == version
    server.verify_signature(version)
    assert verify_folder(tmp_path / "out", server.keys, version.digest) == version  # type: ignore[arg-type]


def test_anyone_can_check_a_version_without_sluice(signed: Registry, add: Add, tmp_path: Path) -> None:
    signed.settle("promoted", version=add(signed, "a").digest, against=None)
    signed.fetch_champion(tmp_path / "out")
    signature = tmp_path / "out" / "version.sig"
    assert signed.keys is not None
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(tmp_path / "out")]
    command += ["--public_key", str(signed.keys.folder / "gate.pub")]
    command += ["--signature", str(signature), "--ignore-paths", str(signature)]
    assert "succeeded" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (tmp_path / "out" / "model.onnx").write_text("another graph")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("name", ["model.onnx", "version.json", "version.sig"])
def test_a_changed_file_is_refused(signed: Registry, add: Add, tmp_path: Path, name: str) -> None:
    version = add(signed, "a")
    signed.settle("promoted", version=version.digest, against=None)
    signed.fetch_champion(tmp_path / "out")
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[:-2] + b"}\n")
    with pytest.raises(IntegrityError):
        verify_folder(tmp_path / "out", signed.keys, version.digest)  # type: ignore[arg-type]


def test_a_file_added_or_taken_away_is_refused(signed: Registry, add: Add, tmp_path: Path) -> None:
    signed.settle("promoted", version=add(signed, "a").digest, against=None)
    signed.fetch_champion(tmp_path / "out")
    (tmp_path / "out" / "extra.py").write_text("evil")
    with pytest.raises(IntegrityError, match="does not hold"):
        verify_folder(tmp_path / "out", signed.keys)  # type: ignore[arg-type]
    (tmp_path / "out" / "extra.py").unlink()
    (tmp_path / "out" / "version.sig").unlink()
    with pytest.raises(IntegrityError, match="not signed"):
        verify_folder(tmp_path / "out", signed.keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("part", ["payload", "signature"])
def test_a_changed_signature_is_refused_in_words(
    signed: Registry, add: Add, tmp_path: Path, part: str, share: float
) -> None:
    """Wherever in it a bit is changed, some of the libraries' errors say nothing.

    The bit is one of the decoded bytes: the last character of base64 has bits that mean nothing.
    """
    version = add(signed, "a")
    signed.decide("promoted", version=version.digest, expected_head=0)
    folder = signed.fetch(version, tmp_path / "served")
    bundle = json.loads((folder / "version.sig").read_bytes())
    holder, name = (
        (bundle["dsseEnvelope"], "payload") if part == "payload" else (bundle["dsseEnvelope"]["signatures"][0], "sig")
    )
    changed = bytearray(base64.b64decode(holder[name]))
    changed[int(len(changed) * share)] ^= 1
    holder[name] = base64.b64encode(changed).decode()
    (folder / "version.sig").write_text(json.dumps(bundle))
    assert signed.keys is not None
    with pytest.raises(IntegrityError):
        verify_folder(folder, signed.keys, version.digest)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5])
def test_a_signature_with_a_changed_character_is_refused_in_words(
    signed: Registry, add: Add, tmp_path: Path, share: float
) -> None:
    version = add(signed, "a")
    signed.decide("promoted", version=version.digest, expected_head=0)
    folder = signed.fetch(version, tmp_path / "served")
    kept = (folder / "version.sig").read_bytes()
    place = int(len(kept) * share)
    (folder / "version.sig").write_bytes(kept[:place] + b"\x00" + kept[place + 1 :])
    assert signed.keys is not None
    with pytest.raises(IntegrityError):
        verify_folder(folder, signed.keys, version.digest)


def test_the_signature_of_one_version_is_none_for_another(signed: Registry, add: Add, tmp_path: Path) -> None:
    a, b = add(signed, "a"), add(signed, "b")
    signed.settle("promoted", version=a.digest, against=None)
    signed.fetch_champion(tmp_path / "a")
    signed.fetch(b, tmp_path / "b")
    (tmp_path / "b" / "version.sig").write_bytes((tmp_path / "a" / "version.sig").read_bytes())
    with pytest.raises(IntegrityError, match="does not hold"):
        verify_folder(tmp_path / "b", signed.keys, b.digest)  # type: ignore[arg-type]


def test_a_forged_pointer_moves_nothing(signed: Registry, server: Registry, add: Add, tmp_path: Path) -> None:
    a, b = add(signed, "a"), add(signed, "b")
    signed.settle("promoted", version=a.digest, against=None)
    # Somebody who can write the store, but has no key, promotes the version that the gate refused.
    forger = Registry(signed.store, "fraud", clock=signed._clock, actor="gate")
    forger.settle("promoted", version=b.digest, against=a.digest)
    with pytest.raises(IntegrityError, match="is not signed"):
        server.fetch_champion(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_entry_changed_or_signed_by_a_stranger_is_refused(
    signed: Registry, server: Registry, add: Add, tmp_path: Path
) -> None:
    a, b = add(signed, "a"), add(signed, "b")
    signed.settle("promoted", version=a.digest, against=None)
    key = "registry/fraud/log/00000001.json"
    honest = signed.store.get(key)
    signed.store.put(key, honest.replace(a.digest.encode(), b.digest.encode()))
    with pytest.raises(IntegrityError, match="changed after it was signed"):
        server.champion()
    stranger = Keys.ensure(tmp_path / "stranger")
    document = json.loads(honest)
    document.pop("signature")
    document["signature"] = stranger.sign(digests.canonical_json(document))
    signed.store.put(key, digests.canonical_json(document))
    with pytest.raises(IntegrityError, match="not trusted"):
        server.champion()


def test_a_swapped_graph_in_the_store_is_refused(signed: Registry, server: Registry, add: Add, tmp_path: Path) -> None:
    version = add(signed, "a")
    signed.settle("promoted", version=version.digest, against=None)
    signed.store.put(blob_key(version.files["model.onnx"]), b"evil")
    with pytest.raises(IntegrityError, match="holds bytes with digest"):
        server.fetch_champion(tmp_path / "out")


def test_a_version_is_not_signed_over_swapped_bytes(signed: Registry, add: Add) -> None:
    version = add(signed, "a")
    signed.store.put(blob_key(version.files["model.onnx"]), b"evil")
    with pytest.raises(IntegrityError):
        signed.settle("promoted", version=version.digest, against=None)
    assert signed.head() == 0


def test_who_has_no_private_key_decides_nothing(server: Registry, add: Add) -> None:
    with pytest.raises(RegistryError, match="no private key"):
        server.freeze(reason="x")


def test_keys_can_be_changed_while_the_old_public_one_is_kept(signed: Registry, add: Add, tmp_path: Path) -> None:
    a, b = add(signed, "a"), add(signed, "b")
    signed.settle("promoted", version=a.digest, against=None)
    new = Keys.ensure(tmp_path / "new")
    assert signed.keys is not None
    (tmp_path / "new" / "before.pub").write_bytes((signed.keys.folder / "gate.pub").read_bytes())
    later = Registry(signed.store, "fraud", clock=signed._clock, actor="gate", keys=Keys.open(new.folder))
    assert later.fetch_champion(tmp_path / "a") == a
    later.settle("promoted", version=b.digest, against=a.digest)
    assert later.fetch_champion(tmp_path / "b") == b


def test_the_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    keys = Keys.ensure(tmp_path / "keys")
    assert keys.private is not None
    assert keys.private.stat().st_mode & 0o777 == 0o600
    assert Keys.ensure(tmp_path / "keys") == keys
    keys.private.chmod(0o644)
    with pytest.raises(RegistryError, match="chmod 600"):
        Keys.open(tmp_path / "keys")


def test_a_folder_without_keys_says_so(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no public key"):
        Keys.open(tmp_path)


def test_keys_inside_the_store_are_refused(store: Store, clock: Callable[[], object]) -> None:
    assert store.folder is not None
    inside = Keys.ensure(store.folder / "keys")
    with pytest.raises(RegistryError, match="inside the store"):
        Registry(store, "fraud", clock=clock, actor="gate", keys=inside)  # type: ignore[arg-type]
