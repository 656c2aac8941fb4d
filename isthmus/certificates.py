"""Certificates and keys in the one form that all who read ours accept."""

import datetime
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

NOT_BEFORE_BACKDATE = datetime.timedelta(hours=1)
"""Grace for readers whose clock is behind this machine's."""
VALIDITY_DAYS = 3650
"""Days that a certificate is valid, as in Istio's own generator (tools/certs/common.mk)."""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyAlgorithm = Literal["ec", "rsa"]
BITS = 3072
"""As strong as the curve P-256 (NIST SP 800-57 part 1, table 2)."""


def new_key(kind: KeyAlgorithm = "ec") -> Key:
    """Return a new key."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, BITS)
    return ec.generate_private_key(ec.SECP256R1())


def builder(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    """Return what every certificate of ours begins with."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - NOT_BEFORE_BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=VALIDITY_DAYS))
    )


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Key) -> str:
    """Return a key as PEM, in SEC 1 or PKCS 1: nothing else is read by Istio and the API server.

    Sources: istio security/pkg/pki/util/crypto.go, kubernetes client-go util/keyutil/key.go.
    """
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
