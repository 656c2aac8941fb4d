"""A region's own certificates and keys: what its API server and kubelet need, not the mesh's."""

import datetime
import ipaddress
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isthmus.state import private

DAYS = 3650
USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def ensure_pki(folder: Path, node: str) -> None:
    """Make `folder` hold ca, api, kubelet and service account keys and tokens, 0600."""
    if (folder / "admin.token").exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_key, ca = _authority(folder)
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(a)) for a in (node, "127.0.0.1", "10.96.0.1")
    ]
    names += [
        x509.DNSName(f"kubernetes{suffix}")
        for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")
    ]
    _leaf(folder, "api", "kube-apiserver", names, ca_key, ca)
    _leaf(folder, "kubelet", "kubelet", names[:1], ca_key, ca)
    _write_key(folder / "sa.key", ec.generate_private_key(ec.SECP256R1()))
    # Two accounts: the audit log tells what people and Isthmus do from what the region does itself.
    tokens = {account: secrets.token_hex(24) for account in ("region", "admin")}
    lines = [f'{token},{name},{name},"system:masters"\n' for name, token in tokens.items()]
    private(folder / "tokens.csv", "".join(lines))
    for account, token in tokens.items():
        private(folder / f"{account}.token", token)


def _authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "isthmus-lab-ca")])
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(True, None), True)
    return key, _sign(folder, "ca", builder, key, key)


def _leaf(
    folder: Path,
    file: str,
    subject: str,
    names: list[x509.GeneralName],
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        _builder(name, ca.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.ExtendedKeyUsage(USAGES), False)
    )
    _sign(folder, file, builder, key, ca_key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour of grace: a machine whose clock was just set back must not refuse its own region.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def _sign(
    folder: Path,
    file: str,
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    certificate = builder.sign(signer, hashes.SHA256())
    _write_key(folder / f"{file}.key", key)
    private(folder / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM).decode())
    return certificate


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        # SEC 1: the API server reads its service account key in no other form.
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    private(path, pem.decode())
