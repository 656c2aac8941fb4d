"""Whether the certificates in one Secret cacerts fit each other."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from isthmus.diagnosis.snapshot import CaFacts, CertificateFacts
from isthmus.diagnosis.trust import is_issuer, is_same_authority


class Fault(NamedTuple):
    """What does not fit, and whether it breaks anything in Istio itself."""

    cause: str
    breaks: bool


NOT_OF_ROOT = Fault(
    "the signing certificate does not verify against root-cert.pem: istiod does not take the "
    "Secret, and nobody trusts what it would sign",
    True,
)
WITHOUT_SIGNER = Fault(
    "cert-chain.pem lacks the signing certificate: proxies present their own without the one that "
    "issued it, and peers that have the root alone cannot verify it",
    True,
)
NOT_IN_ORDER = Fault(
    "cert-chain.pem is not in order: each certificate ought to certify the one before it (RFC "
    "8446, 4.4.2); Envoy bears it, other TLS programs do not",
    False,
)


def fault(ca: CaFacts) -> Fault | None:
    """Return what is wrong with a Secret of which all could be read.

    istiod verifies the signing certificate (istio security/pkg/pki/util/keycertbundle.go, Verify),
    and puts cert-chain.pem after each leaf that it issues.
    """
    signing, chain = ca.signing, ca.chain
    if signing is None:
        return None
    if ca.signed_by_root is False:
        return NOT_OF_ROOT
    is_root = any(is_same_authority(root, signing) for root in ca.roots)
    if chain and not is_root and not any(is_same_authority(c, signing) for c in chain):
        return WITHOUT_SIGNER
    return None if _is_in_order(signing, chain) else NOT_IN_ORDER


def _is_in_order(signing: CertificateFacts, chain: Sequence[CertificateFacts]) -> bool:
    """Tell whether a leaf is followed by its issuer, and each certificate by its own."""
    begins = not chain or is_same_authority(chain[0], signing) or is_issuer(chain[0], signing)
    return begins and all(is_issuer(upper, lower) for lower, upper in pairwise(chain))
