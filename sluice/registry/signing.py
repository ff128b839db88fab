"""Signatures of versions, in the format of model-signing (a Sigstore bundle over every file of the folder).

Anyone can check a fetched version without Sluice:
    model_signing verify key FOLDER --public_key gate.pub \\
        --signature FOLDER/version.sig --ignore-paths FOLDER/version.sig
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sluice import digests
from sluice.errors import IntegrityError, RegistryError, first_line
from sluice.registry.formats import read_document
from sluice.registry.keys import Keys
from sluice.registry.version import MANIFEST_FILE, SIGNATURE_FILE, Version, fetch_version
from sluice.storage import Store


def signature_key(model: str, digest: str, key: str) -> str:
    """Where the signature of a version by the key with this fingerprint lies."""
    return f"registry/{model}/signatures/{digest}/{key}.json"


def store_signature(store: Store, version: Version, keys: Keys) -> None:
    """Sign a version as it lies in the store, unless this key did so before.

    Raises:
        IntegrityError: stored bytes are not what the version says.
    """
    place = signature_key(version.model, version.digest, keys.own)
    if store.exists(place):
        return
    with TemporaryDirectory(prefix="sluice-sign-") as scratch:
        folder = fetch_version(store, version, Path(scratch) / version.digest)
        store.put_if_absent(place, sign_folder(folder, keys))


def fetch_signature(store: Store, version: Version, folder: Path, keys: Keys | None) -> None:
    """Write the version's signature, by a trusted key if there is one, beside its fetched files."""
    place = f"registry/{version.model}/signatures/{version.digest}"
    found = sorted(store.keys(place), key=lambda key: (not _trusted(key, keys), key))
    if found:
        (folder / SIGNATURE_FILE).write_bytes(store.get(found[0]))


def _trusted(key: str, keys: Keys | None) -> bool:
    return keys is not None and key.rsplit("/", 1)[-1].removesuffix(".json") in keys.public


def sign_folder(folder: Path, keys: Keys) -> bytes:
    """A Sigstore bundle (JSON) over all files below a fetched version's folder.

    Raises:
        RegistryError: there is no private key here.
    """
    # Importing it takes a second, and most of the registry does not need it.
    from model_signing import signing

    if keys.private is None:
        raise RegistryError(f"{keys.folder} holds no private key", "sign where the gate's key is")
    with TemporaryDirectory(prefix="sluice-sign-") as scratch:
        target = Path(scratch) / SIGNATURE_FILE
        config = signing.Config()  # type: ignore[no-untyped-call]
        config.use_elliptic_key_signer(private_key=keys.private)
        config.set_hashing_config(_hashing()).sign(folder, target)
        return target.read_bytes()


def verify_folder(folder: Path, keys: Keys, digest: str | None = None) -> Version:
    """The version that a fetched folder holds, after checking name, every byte and the signature.

    Args:
        digest: what the version has to be called; None takes the folder's word for it.

    Raises:
        IntegrityError: a file is missing, changed or not signed, or the signature is missing, not by a trusted key,
            or for other files.
    """
    version = read_folder(folder)
    if digest is not None and version.digest != digest:
        raise IntegrityError(f"{folder} holds version {version.digest}, expected {digest}", "fetch the version anew")
    for name, expected in version.files.items():
        path = folder / name
        if not path.is_file() or digests.of_file(path) != expected:
            raise IntegrityError(f"{path} is missing or is not the file that was judged", "fetch the version anew")
    _check_signature(folder, keys)
    return version


def read_folder(folder: Path) -> Version:
    """The version that a fetched folder says it is; nothing but the name is checked."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise IntegrityError(f"{folder} holds no {MANIFEST_FILE}", "fetch the version with `Registry.fetch`")
    data = path.read_bytes()
    manifest = read_document(data, str(path))
    return Version(digests.of_bytes(data), manifest["model"], manifest["files"], manifest["document"])


def _check_signature(folder: Path, keys: Keys) -> None:
    from model_signing import verifying

    signature = folder / SIGNATURE_FILE
    if not signature.is_file():
        raise IntegrityError(f"the version in {folder} is not signed", "only versions that the gate signed are served")
    try:
        bundle = json.loads(signature.read_bytes())
        path = keys.public.get(bundle["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(f"{signature} is no signature", "fetch the version anew") from None
    if path is None:
        raise IntegrityError(f"the version in {folder} is signed by a key that is not trusted", f"see {keys.folder}")
    config = verifying.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_verifier(public_key=path).set_hashing_config(_hashing())
    try:
        config.verify(folder, signature)
    except Exception as error:
        # model-signing lets several libraries' errors through; whichever it is, the version is not to be used.
        raise IntegrityError(
            f"the signature of the version in {folder} does not hold: {first_line(error, 200)}",
            "it was changed after it was signed: fetch it anew, then run `sluice verify`",
        ) from None


def _hashing() -> Any:
    from model_signing import hashing

    config = hashing.Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)
