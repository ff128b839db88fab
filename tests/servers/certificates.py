"""Certificates for real TLS servers of the tests."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Certificate:
    """PEM files: the authority that signed, the server's certificate, its private key."""

    authority: Path
    certificate: Path
    key: Path


def certificate(folder: Path, *hosts: str) -> Certificate:
    """A certificate for 127.0.0.1 and these names, by an authority of its own, valid for an hour."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *(x509.DNSName(host) for host in hosts)]
    made = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    folder.mkdir(parents=True, exist_ok=True)
    basic = _signed(authority, authority, "authority", x509.BasicConstraints(ca=True, path_length=None))
    made.authority.write_bytes(basic)
    made.certificate.write_bytes(_signed(server, authority, "server", x509.SubjectAlternativeName(names)))
    kept = server.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made.key.write_bytes(kept)
    return made


def _signed(
    key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, name: str, extension: x509.ExtensionType
) -> bytes:
    """PEM of a certificate for a key."""
    now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "authority"))
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - hour).not_valid_after(now + hour)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(own, critical=False).add_extension(above, critical=False)
    return builder.add_extension(extension, critical=True).sign(signer, hashes.SHA256()).public_bytes(PEM)
