"""What NetworkPolicies let through, as Kubernetes defines it; whether a CNI enforces it is another
question.

A pod that some policy selects is isolated in that direction: only what a rule of one of them allows
comes through (kubernetes.io/docs/concepts/services-networking/network-policies).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.diagnosis.fields import dig, mappings, number, selects, texts
from isthmus.diagnosis.objects import find, is_ending, labels_of, listed, namespace_of
from isthmus.diagnosis.services import containers_with_ports
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object

Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True)
class Need:
    """Connections that a mesh cannot do without."""

    role: str
    """What the pods are: `istiod`, `the gateway`."""
    pods: Sequence[Object]
    direction: Direction
    port: int
    peer: str
    """Who is at the other end, in words."""
    peers: Sequence[Object] | None = None
    """The pods at the other end; None if it is outside the cluster."""
    protocol: str = "TCP"


def isolating(cluster: ClusterSnapshot, pod: Object, direction: Direction) -> list[Object]:
    """Return the NetworkPolicies that isolate a pod in a direction."""
    if dig(pod, "spec", "hostNetwork") is True:
        return []
    found = listed(cluster, "NetworkPolicy", namespace_of(pod))
    return [
        policy
        for policy in found
        if not is_ending(policy)
        and direction in _directions(policy)
        and selects(dig(policy, "spec", "podSelector"), labels_of(pod))
    ]


def _directions(policy: Object) -> list[str]:
    given = texts(dig(policy, "spec", "policyTypes"))
    return given or ["Ingress", *(["Egress"] if dig(policy, "spec", "egress") else [])]


def lets_through(cluster: ClusterSnapshot, policies: list[Object], need: Need, pod: Object) -> bool:
    """Tell whether these policies allow what a pod needs, to or from every peer."""
    key = need.direction.lower()
    rules = [(p, rule) for p in policies for rule in mappings(dig(p, "spec", key))]
    open_rules = [(p, r) for p, r in rules if _has_port(r, need, pod)]
    if need.peers is None:
        return any(_may_be_outside(rule, need.direction) for _, rule in open_rules)
    return all(
        any(_has_peer(cluster, policy, rule, need.direction, peer) for policy, rule in open_rules)
        for peer in need.peers
    )


def _has_port(rule: Object, need: Need, pod: Object) -> bool:
    listed_ports = mappings(rule.get("ports"))
    return not listed_ports or any(_is_port(port, need, pod) for port in listed_ports)


def _is_port(port: Object, need: Need, pod: Object) -> bool:
    if str(port.get("protocol") or "TCP") != need.protocol:
        return False
    wanted = port.get("port")
    if wanted is None:
        return True
    if (first := number(wanted)) is not None:
        return first <= need.port <= (number(port.get("endPort")) or first)
    # A name is one of the pod's that is reached; of an unknown one nothing can be said.
    targets = [pod] if need.direction == "Ingress" else need.peers
    return targets is None or any(_named(each, str(wanted)) == need.port for each in targets)


def _named(pod: Object, name: str) -> float | None:
    for container in containers_with_ports(pod):
        for port in mappings(container.get("ports")):
            if port.get("name") == name:
                return number(port.get("containerPort"))
    return None


def _ends(rule: Object, direction: Direction) -> list[Object]:
    return mappings(rule.get("from" if direction == "Ingress" else "to"))


def _may_be_outside(rule: Object, direction: Direction) -> bool:
    ends = _ends(rule, direction)
    return not ends or any("ipBlock" in end for end in ends)


def _has_peer(
    cluster: ClusterSnapshot, policy: Object, rule: Object, direction: Direction, peer: Object
) -> bool:
    ends = _ends(rule, direction)
    return not ends or any(_is_peer(cluster, policy, end, peer) for end in ends)


def _is_peer(cluster: ClusterSnapshot, policy: Object, end: Object, peer: Object) -> bool:
    if "ipBlock" in end:
        return _in_block(end["ipBlock"], dig(peer, "status", "podIP"))
    spaces, chosen = end.get("namespaceSelector"), end.get("podSelector")
    if not selects(chosen, labels_of(peer)):
        return False
    if spaces is None:
        return namespace_of(peer) == namespace_of(policy)
    found = find(cluster, "Namespace", namespace_of(peer))
    # Kubernetes itself labels each namespace by its name.
    named = {"kubernetes.io/metadata.name": namespace_of(peer)}
    return found is None or selects(spaces, named | labels_of(found))


def _in_block(block: Any, address: Any) -> bool:
    try:
        place = ipaddress.ip_address(str(address))
        within = place in ipaddress.ip_network(str(dig(block, "cidr")), strict=False)
        out = [ipaddress.ip_network(e, strict=False) for e in texts(dig(block, "except"))]
    except ValueError:
        return True  # nobody knows
    return within and not any(place in each for each in out)
