"""A region's own certificates and keys: what its API server and kubelet need, not the mesh's."""

import ipaddress
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isthmus.certificates import Key, builder, key_pem, new_key, pem
from isthmus.state import write_private

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
    write_private(folder / "sa.key", key_pem(new_key()))
    # Two accounts: the audit log tells what people and Isthmus do from what the region does itself.
    tokens = {account: secrets.token_hex(24) for account in ("region", "admin")}
    lines = [f'{token},{name},{name},"system:masters"\n' for name, token in tokens.items()]
    write_private(folder / "tokens.csv", "".join(lines))
    for account, token in tokens.items():
        write_private(folder / f"{account}.token", token)


def _authority(folder: Path) -> tuple[Key, x509.Certificate]:
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "isthmus-lab-ca")])
    ca = builder(name, name, key).add_extension(x509.BasicConstraints(True, None), True)
    return key, _sign(folder, "ca", ca, key, key)


def _leaf(
    folder: Path,
    file: str,
    subject: str,
    names: list[x509.GeneralName],
    ca_key: Key,
    ca: x509.Certificate,
) -> None:
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    leaf = (
        builder(name, ca.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.ExtendedKeyUsage(USAGES), False)
    )
    _sign(folder, file, leaf, key, ca_key)


def _sign(
    folder: Path,
    file: str,
    unsigned: x509.CertificateBuilder,
    key: Key,
    signer: Key,
) -> x509.Certificate:
    certificate = unsigned.sign(signer, hashes.SHA256())
    write_private(folder / f"{file}.key", key_pem(key))
    write_private(folder / f"{file}.crt", pem(certificate))
    return certificate
