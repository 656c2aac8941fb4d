"""The mesh's own trust: one root CA an environment, one intermediate a cluster, files 0600.

Names and shape follow Istio's plug-in CA: tools/certs/common.mk of the Istio repository.
"""

import datetime
import getpass
import hashlib
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from isthmus import state
from isthmus.certificates import (
    NOT_BEFORE_BACKDATE,
    Key,
    KeyAlgorithm,
    builder,
    key_pem,
    new_key,
    pem,
)
from isthmus.environment.namespaces import ISTIOD_SAN

ROOT_COMMON_NAME = "isthmus root CA"
"""Common name of every root that we make; its locality is the environment."""
MAX_ORGANIZATION_LENGTH = 64
"""Characters of an organization's name: ub-organization-name, RFC 5280, appendix A."""
RENEW_BEFORE = datetime.timedelta(days=90)
"""An intermediate with less left is made anew by the next run."""


def ensure_root_certificate(folder: Path) -> str:
    """Return the root's certificate (PEM); the root is made if `folder` holds none."""
    return pem(_root(folder)[1])


def read_root_certificate(folder: Path) -> str:
    """Return the root's certificate (PEM), or nothing if `folder` holds none."""
    path = folder / "root-cert.pem"
    return path.read_text() if path.exists() else ""


def cacerts(folder: Path, cluster: str, kind: KeyAlgorithm = "ec") -> dict[str, str]:
    """Return the content of a cluster's Secret `cacerts`, key to PEM; the same at every call.

    `kind` is that of the intermediate's key, with which istiod signs.
    """
    root_key, root = _root(folder)
    path = folder / cluster
    if not _current(path, root, kind):
        _issue(path, cluster, root_key, root, kind)
    own = (path / "ca-cert.pem").read_text()
    return {
        "ca-cert.pem": own,
        "ca-key.pem": (path / "ca-key.pem").read_text(),
        "root-cert.pem": pem(root),
        "cert-chain.pem": own + pem(root),
    }


def is_root_of(certificate: str, environment: str) -> bool:
    """Tell whether a certificate (PEM) is a root CA that some home made for this environment."""
    try:
        subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    except ValueError:
        return False
    return _attribute_values(subject, NameOID.COMMON_NAME, NameOID.LOCALITY_NAME) == [
        ROOT_COMMON_NAME,
        environment,
    ]


def origin(certificate: str) -> str:
    """Tell who made a root CA (PEM) of ours, from where and when: `was made by ann@desk ...`."""
    root = x509.load_pem_x509_certificate(certificate.encode())
    by = _attribute_values(
        root.subject, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
    )
    who = f"by {by[0]} from {by[1]}" if len(by) == 2 else "by a version that noted nobody"
    return f"was made {who} on {root.not_valid_before_utc + NOT_BEFORE_BACKDATE:%Y-%m-%d %H:%M} UTC"


def fingerprint(folder: Path, cluster: str) -> str:
    """Return what changes with a cluster's intermediate; nothing if it has none yet."""
    path = folder / cluster / "ca-cert.pem"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


def delete_intermediate(folder: Path, cluster: str) -> None:
    """Leave no intermediate of a cluster that has left."""
    shutil.rmtree(folder / cluster, ignore_errors=True)


def _root(folder: Path) -> tuple[Key, x509.Certificate]:
    if not (folder / "root-cert.pem").exists():
        key = new_key()
        name = _name(ROOT_COMMON_NAME, folder.parent.name, maker=_maker(folder))
        certificate = _builder(name, name, key, None).sign(key, hashes.SHA256())
        state.write_private(folder / "root-key.pem", key_pem(key))
        state.write_private(folder / "root-cert.pem", pem(certificate))
    loaded = serialization.load_pem_private_key((folder / "root-key.pem").read_bytes(), None)
    assert isinstance(loaded, Key)
    return loaded, x509.load_pem_x509_certificate((folder / "root-cert.pem").read_bytes())


def _current(path: Path, root: x509.Certificate, kind: KeyAlgorithm) -> bool:
    if not (path / "ca-cert.pem").exists():
        return False
    own = x509.load_pem_x509_certificate((path / "ca-cert.pem").read_bytes())
    if isinstance(own.public_key(), rsa.RSAPublicKey) != (kind == "rsa"):
        return False
    left = own.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    try:
        own.verify_directly_issued_by(root)  # by its key: a root made anew has the same name
    except (ValueError, InvalidSignature):
        return False
    return left > RENEW_BEFORE


def _issue(
    path: Path, cluster: str, root_key: Key, root: x509.Certificate, kind: KeyAlgorithm
) -> None:
    key = new_key(kind)
    name = _name("isthmus intermediate CA", cluster)
    certificate = _builder(name, root.subject, key, 0).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(ISTIOD_SAN)]), False
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    certificate = certificate.add_extension(issuer, False)
    state.write_private(path / "ca-key.pem", key_pem(key))
    state.write_private(path / "ca-cert.pem", pem(certificate.sign(root_key, hashes.SHA256())))


def _name(common: str, locality: str, maker: Sequence[str] = ()) -> x509.Name:
    kinds = (NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.LOCALITY_NAME, locality),
            *(x509.NameAttribute(*pair) for pair in zip(kinds, maker, strict=False)),
        ]
    )


def _maker(folder: Path) -> tuple[str, str]:
    """Return who makes a root now, and in which folder; each as long as a name may be."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user of a container that no file lists
        user = f"uid {os.getuid()}"
    place = str(folder.parent)
    short = (
        place
        if len(place) <= MAX_ORGANIZATION_LENGTH
        else f"…{place[1 - MAX_ORGANIZATION_LENGTH :]}"
    )
    return f"{user}@{platform.node()}"[:MAX_ORGANIZATION_LENGTH], short


def _attribute_values(name: x509.Name, *kinds: x509.ObjectIdentifier) -> list[str]:
    return [str(a.value) for kind in kinds for a in name.get_attributes_for_oid(kind)]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, length: int | None
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(True, True, True, False, False, True, True, False, False)
    return (
        builder(subject, issuer, key)
        .add_extension(x509.BasicConstraints(True, length), True)
        .add_extension(usage, True)
        # Strict readers (Python 3.13's default) want every CA's key named: RFC 5280, 4.2.1.2.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
