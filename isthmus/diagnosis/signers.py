"""Which istiod signs for which cluster, and what its signatures look like."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.services import stack_of
from isthmus.diagnosis.snapshot import (
    CaFacts,
    CertificateFacts,
    ClusterSnapshot,
    ProxySnapshot,
    Snapshot,
)
from isthmus.diagnosis.times import utc
from isthmus.diagnosis.trust import describe, has_authority
from isthmus.environment.namespaces import ISTIO_NAMESPACE

CACERTS = f"Secret {ISTIO_NAMESPACE}/cacerts"
SETTLED = 180.0
"""Seconds after which istiod signs with what was written: kubelet refreshes a mounted Secret within
about a minute and a half (kubernetes.io, Secrets), istiod reads it at once."""

Chain = tuple[CertificateFacts, ...]


def own_istiods(snapshot: Snapshot) -> bool:
    """Tell whether each remote has an istiod of its own, which signs for its pods."""
    stack = stack_of(snapshot)
    return stack is not None and stack.istiod_in_remotes


def signing_clusters(snapshot: Snapshot) -> list[ClusterSnapshot]:
    """Return the clusters whose Secret cacerts an istiod signs with."""
    return list(snapshot.clusters) if own_istiods(snapshot) else [snapshot.host]


def signer_of(snapshot: Snapshot, cluster: ClusterSnapshot) -> ClusterSnapshot:
    """Return the cluster whose istiod signs for a cluster's pods."""
    return cluster if own_istiods(snapshot) else snapshot.host


def signed_proxies(snapshot: Snapshot, signer: ClusterSnapshot) -> Iterator[ProxySnapshot]:
    """Yield the proxies whose certificates are of a cluster's istiod, or should be."""
    for cluster in snapshot.clusters:
        if signer_of(snapshot, cluster) is signer:
            yield from cluster.proxies


def served_chains(snapshot: Snapshot, signer: ClusterSnapshot) -> Iterator[tuple[str, Chain]]:
    """Yield the chains that a cluster's istiod presents at its own ports, and where.

    A pod of a remote with an istiod of its own meets that one by the name of the Service.
    """
    for probe in snapshot.probes:
        met = probe.source if own_istiods(snapshot) else probe.target
        if probe.purpose in ("istiod", "webhook") and met == signer.name and probe.certificates:
            yield probe.endpoint, probe.certificates


def chain_in_use(snapshot: Snapshot, signer: ClusterSnapshot) -> Chain:
    """Return a chain that a cluster's istiod signs with now: its own, else the newest leaf's."""
    served = [chain for _, chain in served_chains(snapshot, signer)]
    leaves = [p.leaf for p in signed_proxies(snapshot, signer) if p.leaf]
    newest = sorted(leaves, key=lambda leaf: leaf[0].not_before, reverse=True)
    return next(iter([*served, *newest]), ())


def unusable(ca: CaFacts) -> str:
    """Say why istiod does not take a Secret: it verifies each before use (keycertbundle.go)."""
    if ca.error:
        return f"it cannot be read as certificates and a key: {ca.error}"
    if ca.missing:
        return f"it lacks {', '.join(ca.missing)}"
    return "its key is not that of its signing certificate" if ca.key_matches is False else ""


def is_settled(ca: CaFacts, snapshot: Snapshot) -> bool:
    """Tell whether istiod has had the time to take up a changed Secret."""
    return ca.changed_at is None or snapshot.taken_at - ca.changed_at > SETTLED


def times(cluster: ClusterSnapshot, ca: CaFacts) -> Iterator[str]:
    """Yield when the Secret was changed and istiod started, if both are known."""
    started = [i.started_at for i in cluster.istiods if i.started_at]
    if ca.changed_at and started:
        yield f"cacerts changed {utc(ca.changed_at)}, istiod started {utc(min(started))}"


def restart(cluster: ClusterSnapshot) -> str:
    """Return the command that starts a cluster's istiod anew."""
    return kubectl(cluster.name, f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod")


def new_roots(
    snapshot: Snapshot, cluster: ClusterSnapshot, ca: CaFacts
) -> dict[str, list[ProxySnapshot]]:
    """Return the roots of cacerts that proxies of its istiod do not hold, and which proxies."""
    held = [p for p in signed_proxies(snapshot, cluster) if p.roots]
    missing = {
        describe(root): [p for p in held if not has_authority(p.roots, root)] for root in ca.roots
    }
    return {name: proxies for name, proxies in missing.items() if proxies}
