"""Where a caller's requests go by a VirtualService: its routes, their subsets, the clusters."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings, number, pairs, selects, texts
from isthmus.diagnosis.istio_rules import (
    destination_rules,
    full_host,
    host_matches,
    routes,
    rules,
    subsets,
    virtual_service,
)
from isthmus.diagnosis.objects import labels_of, namespace_of, was_listed
from isthmus.diagnosis.services import (
    MeshService,
    callers,
    pods_of,
    ports,
    reachable,
    service_in,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot

CLUSTER, NETWORK = "topology.istio.io/cluster", "topology.istio.io/network"
"""Labels that istiod gives every endpoint and proxy beside its pod's own (istio
pilot/pkg/serviceregistry/util/label)."""


class Destination(NamedTuple):
    """One end of a route."""

    host: str
    subset: str
    port: int | None
    known: bool
    """Whether a DestinationRule that is in force has the subset."""
    clusters: frozenset[str]
    """The clusters that have pods of it, if it leads to the service itself."""


class Way(NamedTuple):
    """A route that requests of one cluster's callers may take."""

    route: Object
    sure: bool
    """Whether they certainly take it."""
    destinations: list[Destination]

    @property
    def reached(self) -> set[str]:
        """The clusters that answer by it."""
        return {name for each in self.destinations for name in each.clusters}


class Defect(NamedTuple):
    """What keeps requests from the service's pods."""

    text: str
    cause: str
    breaks: bool = True


UNAVAILABLE = "Envoy has no endpoint for such requests and answers 503"


def ways(snapshot: Snapshot, service: MeshService, caller: ClusterSnapshot) -> list[Way]:
    """Return the routes that requests for a service may take from a cluster's callers."""
    rule = virtual_service(snapshot, service, service.namespace)
    labels = {k: v for pod in callers(caller, service) for k, v in labels_of(pod).items()}
    labels |= {CLUSTER: caller.name, NETWORK: caller.network}
    found = subsets(destination_rules(snapshot, service, service.namespace, labels))
    named = {str(s.get("name")): pairs(s.get("labels")) for s in found}
    return [
        Way(route, sure, _destinations(snapshot, service, rule or {}, route, named))
        for route, sure in routes(rule, service.namespace, labels)
    ]


def _destinations(
    snapshot: Snapshot,
    service: MeshService,
    rule: Object,
    route: Object,
    named: Mapping[str, Mapping[str, str]],
) -> list[Destination]:
    made = []
    for way in mappings(route.get("route")):
        to, subset = way.get("destination"), str(dig(way, "destination", "subset") or "")
        if way.get("weight") == 0 and len(mappings(route.get("route"))) > 1:
            continue
        host = full_host(dig(to, "host"), namespace_of(rule))
        port = number(dig(to, "port", "number"))
        known = not subset or subset in named or host != service.host
        wanted = named.get(subset, {})
        clusters = [c.name for c in reachable(snapshot) if known and _has(c, service, wanted)]
        own = frozenset(clusters if host == service.host else ())
        made.append(Destination(host, subset, int(port) if port else None, known, own))
    return made


def _has(cluster: ClusterSnapshot, service: MeshService, wanted: Mapping[str, str]) -> bool:
    own = {CLUSTER: cluster.name, NETWORK: cluster.network}
    chosen = {"matchLabels": dict(wanted)}
    return any(selects(chosen, labels_of(p) | own) for p in pods_of(cluster, service))


def defects(snapshot: Snapshot, service: MeshService, way: Way) -> Iterator[Defect]:
    """Yield what keeps requests on a route from the service's pods."""
    fault = way.route.get("fault")
    for kind, does in (("abort", "fails"), ("delay", "delays")):
        share = dig(fault, kind, "percentage", "value") or dig(fault, kind, "percent")
        if number(share):
            text = f"fault injection: {kind} for {share} % of the requests"
            yield Defect(text, f"the sidecar itself {does} requests, as the rule says")
    for kind in ("directResponse", "redirect"):
        if way.route.get(kind):
            yield Defect(f"a route with {kind}", "the sidecar answers by itself, no pod does")
    for to in way.destinations:
        yield from _destination(snapshot, service, to)


def _destination(snapshot: Snapshot, service: MeshService, to: Destination) -> Iterator[Defect]:
    subset = f"a route to subset {to.subset!r}"
    if to.host != service.host:
        if _exists(snapshot, to.host):
            cause = f"requests for {service.host} are answered by another service"
            yield Defect(f"a route to {to.host}", cause, breaks=False)
        else:
            yield Defect(f"a route to {to.host}, which no cluster has", UNAVAILABLE)
        return
    if not to.known:
        yield Defect(f"{subset}, which no DestinationRule has", UNAVAILABLE)
    elif to.subset and not to.clusters and all(was_listed(c, "Pod") for c in snapshot.clusters):
        yield Defect(f"{subset}, which no pod is in", UNAVAILABLE)
    numbers = {number(port.get("port")) for port in ports(service_in(snapshot.host, service))}
    if to.port and numbers and to.port not in numbers:
        yield Defect(f"a route to port {to.port}, which the Service does not have", UNAVAILABLE)


def _exists(snapshot: Snapshot, host: str) -> bool:
    """Tell whether a registry has a host, or may have it."""
    name, _, rest = host.partition(".")
    space = rest.partition(".svc")[0]
    asked = all(was_listed(c, "Service") for c in snapshot.clusters)
    if not asked or not was_listed(snapshot.host, "ServiceEntry"):
        return True
    entries = (texts(dig(rule, "spec", "hosts")) for rule in rules(snapshot, "ServiceEntry"))
    if any(host_matches(pattern, host) for hosts in entries for pattern in hosts):
        return True
    called = MeshService(space, name)
    return called.host == host and any(service_in(c, called) for c in snapshot.clusters)
