"""What certificates and tokens say, without what could be used: never a key, never a signature."""

import base64
import json
from collections.abc import Iterable, Mapping

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from isthmus.diagnosis.snapshot import CaFacts, CertificateFacts, TokenFacts

TLS_KEYS = ("tls.crt", "tls.key", "ca.crt")
CACERTS_KEYS = ("ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem")
"""The two forms that istiod reads (istio security/pkg/pki/ca/ca.go)."""


def facts_of_pem(pem: bytes | str) -> tuple[CertificateFacts, ...]:
    """Return what each certificate of a PEM bundle says; raises ValueError if it is none."""
    data = pem.encode() if isinstance(pem, str) else pem
    return tuple(map(facts, x509.load_pem_x509_certificates(data))) if data.strip() else ()


def facts_of_der(chain: Iterable[bytes]) -> tuple[CertificateFacts, ...]:
    """Return what each certificate of a chain says; raises ValueError if one is broken."""
    return tuple(facts(x509.load_der_x509_certificate(der)) for der in chain)


def facts(certificate: x509.Certificate) -> CertificateFacts:
    """Return what one certificate says."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        key_fingerprint=_sha256(key),
        subject_key_id=_subject_key_id(certificate),
        authority_key_id=_authority_key_id(certificate),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        is_ca=_is_ca(certificate),
        sans=tuple(_sans(certificate)),
    )


def ca_facts(data: Mapping[str, bytes], changed_at: float | None = None) -> CaFacts:
    """Return what the Secret `cacerts` holds, in either of its forms, without its key."""
    form, names = ("tls", TLS_KEYS) if "tls.crt" in data else ("cacerts", CACERTS_KEYS)
    missing = tuple(name for name in names if not data.get(name))
    if form == "tls":
        signing, key, roots = (data.get(name, b"") for name in TLS_KEYS)
        chain = signing
    else:
        signing, key, roots, chain = (data.get(name, b"") for name in CACERTS_KEYS)
    try:
        return CaFacts(
            form=form,
            missing=missing,
            signing=next(iter(facts_of_pem(signing)), None),
            chain=facts_of_pem(chain),
            roots=facts_of_pem(roots),
            key_matches=_key_matches(signing, key),
            signed_by_root=_signed_by(signing + b"\n" + chain, roots),
            changed_at=changed_at,
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return CaFacts(form=form, missing=missing, error=str(error)[:200], changed_at=changed_at)


def token_facts(token: str) -> TokenFacts:
    """Return the claims of a JWT; its signature is not looked at (RFC 7519)."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return TokenFacts(
            subject=str(claims.get("sub", "")),
            issuer=str(claims.get("iss", "")),
            issued_at=claims.get("iat"),
            expires_at=claims.get("exp"),
        )
    except (IndexError, ValueError, AttributeError):
        return TokenFacts(error="it is no JWT")


def _key_matches(signing: bytes, key: bytes) -> bool | None:
    if not signing.strip() or not key.strip():
        return None
    certificate = x509.load_pem_x509_certificates(signing)[0]
    private = serialization.load_pem_private_key(key, password=None)
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(*form) == private.public_key().public_bytes(*form)


def _signed_by(chain: bytes, roots: bytes) -> bool | None:
    """Tell whether the first certificate leads to a root by signatures, whatever the order."""
    if not chain.strip() or not roots.strip():
        return None
    known = x509.load_pem_x509_certificates(chain)
    anchors = x509.load_pem_x509_certificates(roots)
    current, rest = known[0], known[1:]
    while not any(_issued(current, anchor) for anchor in anchors):
        if not (above := next((c for c in rest if _issued(current, c)), None)):
            return False
        current, rest = above, [c for c in rest if c != above and c != current]
    return True


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _sha256(data: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex()


def _subject_key_id(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return found.value.digest.hex()


def _authority_key_id(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return (found.value.key_identifier or b"").hex()


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _sans(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        *found.get_values_for_type(x509.DNSName),
        *found.get_values_for_type(x509.UniformResourceIdentifier),
        *map(str, found.get_values_for_type(x509.IPAddress)),
    ]
