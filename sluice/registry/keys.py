"""The gate's key pair: it signs decisions and versions; whoever holds a public key can check them.

The folder lies outside of the store, so that who can write the store cannot also sign. `gate.key` signs; every
`*.pub` there is trusted, which is how keys are changed: make a new pair, keep the old public key.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.errors import IntegrityError, RegistryError

PRIVATE, PUBLIC = "gate.key", "gate.pub"
_DIGEST = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class Keys:
    """A folder of keys. `private` is None where only checking is possible (a model server)."""

    folder: Path
    private: Path | None
    public: dict[str, Path]
    """Fingerprint (SHA-256 of the PEM text) to file of every trusted key."""

    @staticmethod
    def open(folder: Path) -> Keys:
        """The keys of a folder.

        Raises:
            RegistryError: there are none, or others than the owner may read the private one.
        """
        public = {fingerprint(path): path for path in sorted(folder.glob("*.pub"))}
        private = folder / PRIVATE
        if not public:
            raise RegistryError(
                f"{folder} holds no public key", "`sluice run` makes a pair; a server needs a copy of gate.pub"
            )
        if not private.exists():
            return Keys(folder, None, public)
        if private.stat().st_mode & 0o077 and not _is_mounted(private):
            raise RegistryError(f"others may read {private}", f"chmod 600 {private}; if others did, make a new pair")
        return Keys(folder, private, public)

    @staticmethod
    def ensure(folder: Path) -> Keys:
        """The keys of a folder; a pair (NIST P-256) is made when there is none.

        Raises:
            RegistryError: as `open`, or the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not (folder / PRIVATE).exists() and not any(folder.glob("*.pub")):
                _write_private(folder)
            if (folder / PRIVATE).exists() and not (folder / PUBLIC).exists():
                _write_public(folder)
        except OSError as error:
            raise RegistryError(f"{folder}: no keys can be made: {error.strerror}", "set storage.keys") from None
        return Keys.open(folder)

    @property
    def own(self) -> str:
        """Fingerprint of the key that signs here."""
        return _fingerprint(_pem(self._load_private()))

    def sign(self, data: bytes) -> dict[str, str]:
        """A detached signature (ECDSA over SHA-256): fingerprint of the key and base64 of the value."""
        key = self._load_private()
        return {"key": _fingerprint(_pem(key)), "value": base64.b64encode(key.sign(data, _DIGEST)).decode()}

    def check(self, data: bytes, signature: dict[str, str] | None, what: str) -> None:
        """Raise unless a trusted key signed these bytes.

        Raises:
            IntegrityError: no signature, an unknown key, or other bytes were signed.
        """
        if not signature:
            raise IntegrityError(f"{what} is not signed", "only what the gate's key signed is used")
        path = self.public.get(signature.get("key", ""))
        if path is None:
            raise IntegrityError(f"{what} is signed by a key that is not trusted here", f"trusted are {self._names()}")
        key = serialization.load_pem_public_key(path.read_bytes())
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(base64.b64decode(signature["value"]), data, _DIGEST)
        except (InvalidSignature, ValueError, KeyError):
            raise IntegrityError(
                f"{what} was changed after it was signed", "restore it, then run `sluice verify`"
            ) from None

    def refuse_inside(self, folder: Path | None) -> None:
        """Raise when the keys lie in the store, whose readers and writers must not have them."""
        if folder is not None and self.folder.resolve().is_relative_to(folder.resolve()):
            raise RegistryError(
                f"the keys in {self.folder} lie inside the store", "set storage.keys to a folder beside"
            )

    def _load_private(self) -> ec.EllipticCurvePrivateKey:
        if self.private is None:
            raise RegistryError(f"{self.folder} holds no private key", "decide where the gate's key is")
        key = serialization.load_pem_private_key(self.private.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise RegistryError(f"{self.private} is no elliptic curve key", "make a new pair")
        return key

    def _names(self) -> str:
        return ", ".join(str(path) for path in self.public.values())


def fingerprint(path: Path) -> str:
    """SHA-256 of a public key's PEM text."""
    return _fingerprint(path.read_bytes())


def _is_mounted(path: Path) -> bool:
    """Whether the file comes from a read-only mount, as a Secret does: its mode is the mounter's, its readers a pod."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _fingerprint(pem: bytes) -> str:
    return hashlib.sha256(pem).hexdigest()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def _write_private(folder: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    part = folder / f".{PRIVATE}.{secrets.token_hex(4)}"
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        # Of two processes that start at once, the first one's key stays.
        os.link(part, folder / PRIVATE)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)


def _write_public(folder: Path) -> None:
    key = serialization.load_pem_private_key((folder / PRIVATE).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    part = folder / f".{PUBLIC}.{secrets.token_hex(4)}"
    part.write_bytes(_pem(key))
    part.replace(folder / PUBLIC)
