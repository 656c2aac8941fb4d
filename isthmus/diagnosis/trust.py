"""Whether a chain of certificates leads to a root that somebody trusts, by what they say.

By names and key identifiers, as paths are built (RFC 5280, 4.2.1.1 and 6.1; RFC 4158): a snapshot
has no signatures.
"""

from collections.abc import Iterable, Sequence

from isthmus.diagnosis.certificate_facts import facts_of_pem
from isthmus.diagnosis.fields import dig
from isthmus.diagnosis.objects import find, listed, name_of, namespace_of
from isthmus.diagnosis.snapshot import CertificateFacts, ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

ROOT_CONFIG_MAP = "istio-ca-root-cert"
"""What istiod writes into each namespace: the root by which its pods know it
(pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go)."""
ROOT_KEY = "root-cert.pem"
Prints = tuple[str, ...]
"""The SHA-256 of each of several certificates."""


def is_issuer(issuer: CertificateFacts, certificate: CertificateFacts) -> bool:
    """Tell whether a certificate names another as its issuer, by name and, where told, by key.

    Nobody but itself issued a self-signed one: another root may have its name.
    """
    if certificate.subject == certificate.issuer and certificate.authority_key_id in (
        "",
        certificate.subject_key_id,
    ):
        return False
    keys = certificate.authority_key_id, issuer.subject_key_id
    return certificate.issuer == issuer.subject and (not all(keys) or keys[0] == keys[1])


def is_same_authority(one: CertificateFacts, other: CertificateFacts) -> bool:
    """Tell whether two certificates are of one name and one key: each verifies what the other does.

    A root that was only renewed with its old key is the same authority.
    """
    return one.subject == other.subject and one.key_fingerprint == other.key_fingerprint


def has_authority(roots: Iterable[CertificateFacts], wanted: CertificateFacts) -> bool:
    """Tell whether an authority is among roots."""
    return any(is_same_authority(root, wanted) for root in roots)


def leads_to(chain: Sequence[CertificateFacts], roots: Sequence[CertificateFacts]) -> bool:
    """Tell whether a presented chain, leaf first and the rest in any order, ends below a root."""
    if not chain:
        return False
    current, rest = chain[0], list(chain[1:])
    while not any(is_issuer(r, current) or is_same_authority(r, current) for r in roots):
        above = next((c for c in rest if is_issuer(c, current)), None)
        if above is None:
            return False
        rest.remove(above)
        current = above
    return True


def prints(certificates: Iterable[CertificateFacts]) -> Prints:
    """Return by what certificates are the same."""
    return tuple([certificate.fingerprint for certificate in certificates])


def given_roots(snapshot: Snapshot) -> dict[str, dict[str, tuple[CertificateFacts, ...]]]:
    """Return the roots in the ConfigMaps istio-ca-root-cert: cluster -> namespace -> roots."""
    texts = {
        cluster.name: {
            namespace_of(item): _root_text(item)
            for item in listed(cluster, "ConfigMap")
            if name_of(item) == ROOT_CONFIG_MAP
        }
        for cluster in snapshot.clusters
    }
    read = {text: _read(text) for text in {t for found in texts.values() for t in found.values()}}
    return {name: {s: read[t] for s, t in found.items()} for name, found in texts.items()}


def _root_text(item: Object | None) -> str:
    return str(dig(item, "data", ROOT_KEY) or "")


def _read(text: str) -> tuple[CertificateFacts, ...]:
    """Return the roots in the text of such a ConfigMap, none if it holds no certificates."""
    try:
        return facts_of_pem(text)
    except ValueError:
        return ()


def distributed_roots(cluster: ClusterSnapshot) -> tuple[CertificateFacts, ...]:
    """Return the roots that istiod gives out in a cluster now: what istio-system's copy says."""
    return _read(_root_text(find(cluster, "ConfigMap", ROOT_CONFIG_MAP, ISTIO_NAMESPACE)))


def describe(certificate: CertificateFacts) -> str:
    """Return how a certificate is named for a person: by subject and the begin of its SHA-256."""
    name = certificate.subject or next(iter(certificate.sans), "") or "no subject"
    return f"{name} (SHA-256 {certificate.fingerprint[:16]})"


def describe_all(certificates: Iterable[CertificateFacts]) -> str:
    """Return how certificates are named, in a sentence."""
    return ", ".join(dict.fromkeys(map(describe, certificates))) or "none"
