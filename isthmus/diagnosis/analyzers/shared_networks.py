"""Clusters that share one network: their pods reach each other directly, or must."""

import ipaddress
from collections.abc import Iterator
from itertools import combinations

from isthmus.diagnosis.fields import dig, texts
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import listed
from isthmus.diagnosis.snapshot import ClusterSnapshot, ProxyEndpoint, ProxySnapshot, Snapshot

Block = ipaddress.IPv4Network | ipaddress.IPv6Network


@analyzer("F16", "Pods of two clusters on one network do not reach each other")
def not_routable(snapshot: Snapshot) -> Iterator[Failure]:
    """Find endpoints in a cluster of the same network to which no connection ever came about."""
    for one, other in _sharing(snapshot, both_ways=True):
        theirs = {str(dig(pod, "status", "podIP")) for pod in listed(other, "Pod")}
        own = {str(dig(pod, "status", "podIP")) for pod in listed(one, "Pod")}
        failed = [(p, e) for p, e in _failing(one) if e.address in theirs - own]
        if not failed:
            continue
        proxy, endpoint = failed[0]
        yield Failure(
            clusters=(one.name, other.name),
            object=one.network,
            evidence=tuple(
                f"{one.name}: {p.namespace}/{p.pod} -> {other.name} {e.text}: "
                f"{e.connect_failures} connections failed, none was made"
                for p, e in failed[:5]
            ),
            cause=f"{one.name} and {other.name} are one network, {one.network}, for Istio, and "
            "nothing routes their pods' addresses to each other, or a firewall drops that",
            fix="# route both clusters' pod addresses, or give each a network of its own; test:\n"
            + kubectl(
                one.name,
                f"-n {proxy.namespace} exec {proxy.pod} -c istio-proxy -- curl -sv "
                f"--connect-timeout 5 -m 6 telnet://{endpoint.text}",
            ),
            certain=False,
        )


def _failing(cluster: ClusterSnapshot) -> list[tuple[ProxySnapshot, ProxyEndpoint]]:
    every = [(p, e) for p in cluster.proxies for t in p.endpoints.values() for e in t]
    return [(p, e) for p, e in every if e.connect_failures and not e.successes]


@analyzer("F17", "Address ranges of two clusters on one network overlap")
def overlapping(snapshot: Snapshot) -> Iterator[Failure]:
    """Find pod ranges that overlap another cluster's pod or Service range on the same network."""
    for one, other in _sharing(snapshot, both_ways=False):
        pairs = [
            f"{one.name}: {a} ({what}), {other.name}: {b} ({against})"
            for what, mine in _ranges(one).items()
            for against, theirs in _ranges(other).items()
            if "pods" in (what, against)
            for a in mine
            for b in theirs
            if a.version == b.version and a.overlaps(b)
        ]
        if pairs:
            yield Failure(
                clusters=(one.name, other.name),
                object=one.network,
                evidence=tuple(pairs[:5]),
                cause="an address that two clusters have leads to a pod of the own one, or to "
                "nobody, in place of the other's pod",
                fix="# give each cluster a network of its own in the environment file (`network`): "
                "its pods are then reached by its gateway\n"
                f"isthmus up {snapshot.environment.get('name', '')}",
            )


def _sharing(
    snapshot: Snapshot, *, both_ways: bool
) -> Iterator[tuple[ClusterSnapshot, ClusterSnapshot]]:
    for one, other in combinations(snapshot.clusters, 2):
        if one.network and one.network == other.network:
            yield one, other
            if both_ways:
                yield other, one


def _ranges(cluster: ClusterSnapshot) -> dict[str, list[Block]]:
    """Return the ranges of a cluster's pods and Services, as nodes and ServiceCIDRs have them."""
    nodes, services = listed(cluster, "Node"), listed(cluster, "ServiceCIDR")
    pods = (
        c for n in nodes for c in [*texts(dig(n, "spec", "podCIDRs")), dig(n, "spec", "podCIDR")]
    )
    return {
        "pods": _blocks(pods),
        "Services": _blocks(c for s in services for c in texts(dig(s, "spec", "cidrs"))),
    }


def _blocks(found: Iterator[object]) -> list[Block]:
    blocks: dict[Block, None] = {}
    for text in found:
        try:
            blocks[ipaddress.ip_network(str(text), strict=False)] = None
        except ValueError:
            continue
    return list(blocks)


ANALYZERS = (not_routable, overlapping)
