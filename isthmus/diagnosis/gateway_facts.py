"""What a snapshot says of the ways into each cluster's network: Services, pods, addresses."""

import ipaddress
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from isthmus.diagnosis import services
from isthmus.diagnosis.fields import dig, mappings, number, texts
from isthmus.diagnosis.objects import (
    annotations_of,
    find,
    is_ending,
    labels_of,
    listed,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.stacks import Stack, load

NETWORK_LABEL = "topology.istio.io/network"
PORT_LABEL = "networking.istio.io/gatewayPort"
NODE_SELECTOR = "traffic.istio.io/nodeSelector"
"""By these istiod knows a Service as a way into a network, and its port and addresses (istio
pilot/pkg/serviceregistry/kube/controller/network.go, getGatewayDetails)."""
FIRST_STACK = "istio-1.31"
"""What a snapshot is read by whose stack is not known here."""
SHOWN = 5
"""How many of many things a finding names."""


def stack_of(snapshot: Snapshot) -> Stack:
    """Return the stack of the mesh: how its generation of Istio works."""
    return services.stack_of(snapshot) or load(FIRST_STACK)


def own_service(snapshot: Snapshot, cluster: ClusterSnapshot) -> Object | None:
    """Return the Service of the gateway that Isthmus installs."""
    return find(cluster, "Service", stack_of(snapshot).gateway.name, ISTIO_NAMESPACE)


def gateway_services(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[Object]:
    """Return all Services that istiod takes for a way into a network, Isthmus's own among them."""
    own = own_service(snapshot, cluster)
    if stack_of(snapshot).networks != "labels":
        return [own] if own else []
    others = [
        service
        for service in listed(cluster, "Service")
        if service is not own
        and labels_of(service).get(NETWORK_LABEL)
        and gateway_port(snapshot, service) in published(service)
    ]
    return [*([own] if own else []), *others]


def gateway_port(snapshot: Snapshot, service: Object) -> int:
    """Return the port of a gateway's Service at which it takes other networks' requests."""
    return whole(labels_of(service).get(PORT_LABEL)) or stack_of(snapshot).gateway.port


def published(service: Object) -> list[int]:
    """Return the ports that a Service publishes."""
    return [whole(port.get("port")) for port in mappings(dig(service, "spec", "ports"))]


def whole(value: Any) -> int:
    """Return a whole number, 0 for what is none."""
    return int(number(value) or 0)


def gateway_pods(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[Object]:
    """Return the pods of a cluster's gateway, but those that are being deleted."""
    key, _, value = stack_of(snapshot).gateway.selector.partition("=")
    pods = listed(cluster, "Pod", ISTIO_NAMESPACE)
    return [pod for pod in pods if labels_of(pod).get(key) == value and not is_ending(pod)]


def addresses_of(cluster: ClusterSnapshot, service: Object) -> list[str]:
    """Return every address or host name at which istiod sends others to a Service.

    Source: istio pilot/pkg/serviceregistry/kube/conversion.go, ConvertService.
    """
    found, kind = texts(dig(service, "spec", "externalIPs")), dig(service, "spec", "type")
    if kind == "LoadBalancer":
        found = [*balancer_addresses(service), *found]
    if kind == "NodePort":
        found = [*_node_addresses(cluster, service), *found]
    return list(dict.fromkeys(found))


def balancer_addresses(service: Object) -> list[str]:
    """Return what a load balancer gave a Service: addresses, or host names where it has those."""
    given = mappings(dig(service, "status", "loadBalancer", "ingress"))
    return [str(name) for e in given if (name := e.get("ip") or e.get("hostname"))]


def _node_addresses(cluster: ClusterSnapshot, service: Object) -> list[str]:
    try:
        wanted = json.loads(annotations_of(service).get(NODE_SELECTOR, ""))
    except ValueError:
        return []
    return [
        str(address.get("address"))
        for node in listed(cluster, "Node")
        if isinstance(wanted, dict) and wanted.items() <= labels_of(node).items()
        for address in mappings(dig(node, "status", "addresses"))
        if address.get("type") == "ExternalIP"
    ]


def entries(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[tuple[str, int]]:
    """Return every address and port by which other networks come into a cluster's network."""
    return [
        (address, _outer_port(snapshot, service))
        for service in gateway_services(snapshot, cluster)
        for address in addresses_of(cluster, service)
    ]


def _outer_port(snapshot: Snapshot, service: Object) -> int:
    port = gateway_port(snapshot, service)
    if dig(service, "spec", "type") != "NodePort":
        return port
    same = [p for p in mappings(dig(service, "spec", "ports")) if whole(p.get("port")) == port]
    return whole(same[0].get("nodePort")) if same else port


@lru_cache(65536)
def ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an IP address, None for a host name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def resolutions(snapshot: Snapshot) -> dict[str, dict[str, set[str]]]:
    """Return the addresses that pods got for names: name -> cluster that asked -> addresses."""
    dialled = [(p.host, p.source, p.resolved) for p in snapshot.probes if p.resolved]
    looked_up = [(n.name, c.name, n.addresses) for c in snapshot.clusters for n in c.lookups]
    found: dict[str, dict[str, set[str]]] = {}
    for name, source, addresses in (*dialled, *looked_up):
        found.setdefault(name, {}).setdefault(source, set()).update(addresses)
    return found


def plain(address: str) -> str:
    """Return an IP address in its one form, anything else as it is."""
    return str(ip(address) or address)


def resolved(snapshot: Snapshot, name: str) -> set[str]:
    """Return the addresses that pods of all clusters got for a name."""
    return set().union(*resolutions(snapshot).get(name, {}).values())


def warnings_about(cluster: ClusterSnapshot, kind: str, called: str) -> list[str]:
    """Return what Warnings in istio-system say of objects of such a name, the latest last.

    `called` is a regular expression for the whole name: a ReplicaSet's is known by its beginning.
    """
    told = [
        event
        for event in listed(cluster, "Event", ISTIO_NAMESPACE)
        if event.get("type") == "Warning"
        and dig(event, "involvedObject", "kind") == kind
        and re.fullmatch(called, str(dig(event, "involvedObject", "name")))
    ]
    return [f"{e.get('reason')}: {e.get('message', '')}" for e in sorted(told, key=last_told)]


def last_told(event: Object) -> str:
    """Return when an Event was told last; its API has three places for that."""
    series = dig(event, "series", "lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or "")


def shown(things: Iterable[str], limit: int = SHOWN) -> str:
    """Return things as a sentence lists them: the first of many, and how many more."""
    found = list(things)
    rest = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + rest
