"""The cluster's certificates and the kubeconfig files of its users."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.cluster.places import API, API_SERVICE, NODE, NODE_ADDRESS, Home

VALID = timedelta(days=30)

USERS = {
    "admin": ("cluster-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
    "front-proxy": ("front-proxy", ""),
    # As service accounts, so that what runs beside the cluster has no more rights than it would have inside.
    "kserve": ("system:serviceaccount:kserve:kserve-controller-manager", "system:serviceaccounts"),
    "metrics-server": ("system:serviceaccount:kube-system:metrics-server", "system:serviceaccounts"),
}
"""User name and group of everyone who speaks to the API server."""

SERVERS = {
    "api-server": [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        NODE_ADDRESS,
        API_SERVICE,
    ],
    "webhooks": ["localhost", "127.0.0.1"],
}
"""Names and addresses of everyone who is spoken to."""


@dataclass(frozen=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def write_keys(home: Home) -> None:
    """A new authority, a certificate for every server and user, kubeconfig files, and the key that signs tokens."""
    home.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _authority()
    _write(home.keys / "ca", authority.key, authority.certificate)
    for name, hosts in SERVERS.items():
        _issue(home.keys / name, authority, name, "", hosts)
    for name, (user, group) in USERS.items():
        _issue(home.keys / name, authority, user, group, [])
        home.kubeconfig(name).write_text(json.dumps(kubeconfig(home, API, name), indent=1))
    _private(home.keys / "tokens.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))


def kubeconfig(home: Home, server: str, user: str = "admin") -> dict[str, object]:
    """A kubeconfig that speaks as `user` to the API server at the address `server`."""
    files = {"client-certificate": f"{home.keys / user}.crt", "client-key": f"{home.keys / user}.key"}
    cluster = {"server": server, "certificate-authority": str(home.keys / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sluice-test", "cluster": cluster}],
        "users": [{"name": user, "user": files}],
        "contexts": [{"name": "sluice-test", "context": {"cluster": "sluice-test", "user": user}}],
        "current-context": "sluice-test",
    }


def _authority() -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sluice test cluster")])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    builder = _builder(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return _Authority(key, builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()))


def _issue(path: Path, authority: _Authority, user: str, group: str, hosts: list[str]) -> None:
    """A server's certificate where there are hosts, a client's otherwise."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _builder(x509.Name(names), authority.certificate.subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
    _write(path, key, builder.sign(authority.key, hashes.SHA256()))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + VALID)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    _private(path.with_name(f"{path.name}.key"), key)
    path.with_name(f"{path.name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _private(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
