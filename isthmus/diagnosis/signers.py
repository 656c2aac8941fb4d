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
    if own_istiods(snapshot):
        yield from signer.proxies
    elif signer is snapshot.host:
        for cluster in snapshot.clusters:
            yield from cluster.proxies


def served_chains(snapshot: Snapshot) -> dict[str, list[tuple[str, Chain]]]:
    """Return the chains that istiods present at their own ports, and where, by their clusters.

    A pod of a remote with an istiod of its own meets that one by the name of the Service.
    """
    own = own_istiods(snapshot)
    found: dict[str, list[tuple[str, Chain]]] = {}
    for probe in snapshot.probes:
        if probe.purpose in ("istiod", "webhook") and probe.certificates:
            met = probe.source if own else probe.target
            found.setdefault(met, []).append((probe.endpoint, probe.certificates))
    return found


def chains_in_use(snapshot: Snapshot) -> dict[str, Chain]:
    """Return by cluster a chain that its signer signs with now: its own, else the newest leaf's."""
    served = {name: found[0][1] for name, found in served_chains(snapshot).items()}
    chains = {
        signer.name: served.get(signer.name) or _newest_leaf(snapshot, signer)
        for signer in signing_clusters(snapshot)
    }
    return {c.name: chains[signer_of(snapshot, c).name] for c in snapshot.clusters}


def _newest_leaf(snapshot: Snapshot, signer: ClusterSnapshot) -> Chain:
    leaves = (p.leaf for p in signed_proxies(snapshot, signer) if p.leaf)
    return max(leaves, key=lambda leaf: leaf[0].not_before, default=())


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
