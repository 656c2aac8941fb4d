"""Every address that a cluster has: its pods', its nodes', its gateways'."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import created, dig, mappings
from isthmus.diagnosis.gateway_facts import entries, ip, plain
from isthmus.diagnosis.network_gateways import known_gateways
from isthmus.diagnosis.objects import is_ending, listed, namespace_of, was_listed
from isthmus.diagnosis.services import services
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

SETTLED = 60.0
"""Seconds after a pod was made or deleted in which a snapshot may have seen both sides of it."""


def known_addresses(snapshot: Snapshot) -> set[str]:
    """Return every address that a cluster has; none if one did not tell, or is just changing."""
    told = all(was_listed(c, kind) for c in snapshot.clusters for kind in ("Pod", "Service"))
    spaces = {ISTIO_NAMESPACE, *(service.namespace for service in services(snapshot))}
    if not told or any(_is_changing(snapshot, c, spaces) for c in snapshot.clusters):
        return set()
    found = {address for cluster in snapshot.clusters for address in _own(cluster)}
    for cluster in snapshot.clusters:
        ways = {address for address, _ in entries(snapshot, cluster)}
        found |= ways
        if not all(map(ip, ways)):
            # Of a host name's addresses, istiod may know others than were given here.
            found |= {g.address for g in known_gateways(snapshot) if g.network == cluster.network}
    return {plain(address) for address in found}


def _own(cluster: ClusterSnapshot) -> Iterator[str]:
    for pod in listed(cluster, "Pod"):
        yield str(dig(pod, "status", "podIP") or "")
        yield from (str(e.get("ip")) for e in mappings(dig(pod, "status", "podIPs")))
    for node in listed(cluster, "Node"):
        yield from (str(a.get("address")) for a in mappings(dig(node, "status", "addresses")))
    for entry in listed(cluster, "ServiceEntry"):
        yield from (str(e.get("address")) for e in mappings(dig(entry, "spec", "endpoints")))


def _is_changing(snapshot: Snapshot, cluster: ClusterSnapshot, spaces: set[str]) -> bool:
    """Tell whether pods come and go whose addresses matter, or where they are is not known."""
    recent = snapshot.taken_at - SETTLED
    found = [p for p in listed(cluster, "Pod") if namespace_of(p) in spaces]
    chosen = any(dig(e, "spec", "workloadSelector") for e in listed(cluster, "ServiceEntry"))
    return chosen or any(is_ending(pod) or created(pod) > recent for pod in found)
