"""Which of the users' own rules decide how a caller's requests for a service are shared out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings, number, texts
from isthmus.diagnosis.istio_rules import (
    destination_rules,
    full_host,
    mesh_config,
    most_specific,
    routes,
    traffic_policy,
    virtual_service,
)
from isthmus.diagnosis.load_balancing import distribution
from isthmus.diagnosis.objects import full_name, namespace_of
from isthmus.diagnosis.services import MeshService
from isthmus.diagnosis.snapshot import Object, Snapshot
from isthmus.verification import ServiceRoute

CLUSTER_LOCAL = ("*.kube-system.svc.cluster.local", "kubernetes.default.svc.cluster.local")
"""Services that Istio keeps in each cluster by default (istio pilot/pkg/model/cluster_local.go)."""
OWN_ANSWERS = ("fault", "redirect", "directResponse", "mirror", "mirrors", "delegate")
"""Fields of an HTTPRoute by which others than its destinations answer, or are counted."""


class Steering(NamedTuple):
    """Where requests go by rules, and what makes other shares right than the endpoints' weights."""

    routes: tuple[ServiceRoute, ...]
    notes: tuple[str, ...]
    computed: bool
    """Whether shares follow from routes and weights; else a rule chooses in its own way."""


class Caller(NamedTuple):
    """Whose requests they are."""

    namespace: str
    labels: Mapping[str, str]


def steering(
    snapshot: Snapshot, service: MeshService, port: int, caller: Caller, protocol: str
) -> Steering:
    """Return what the rules in force for a caller make of its requests for a port of a service."""
    found, notes, certain = _routes(snapshot, service, port, caller, protocol)
    policies = list(_policies(snapshot, service, port, caller, [route.subset for route in found]))
    choosing = [f"{name}: {what}" for name, policy in policies for what in _choices(policy)]
    if dig(mesh_config(snapshot), "localityLbSetting", "distribute"):
        choosing.append("MeshConfig: localityLbSetting.distribute")
    if said := distribution(snapshot, service):
        notes.append(f"Service {service.namespace}/{service.name}: trafficDistribution {said}")
    return Steering(tuple(found), tuple([*notes, *choosing]), certain and not choosing)


def is_cluster_local(snapshot: Snapshot, service: MeshService) -> bool:
    """Tell whether endpoints of a service are used in their own cluster alone.

    Of several hosts that match, the most specific one holds (istio pilot/pkg/model,
    cluster_local.go).
    """
    local = dict.fromkeys(CLUSTER_LOCAL, True)
    for setting in mappings(mesh_config(snapshot).get("serviceSettings")):
        for host in texts(setting.get("hosts")):
            local[host] = dig(setting, "settings", "clusterLocal") is True
    return local.get(most_specific(local, service.host), False)


def _routes(
    snapshot: Snapshot, service: MeshService, port: int, caller: Caller, protocol: str
) -> tuple[list[ServiceRoute], list[str], bool]:
    straight = [ServiceRoute(port=port)]
    rule = virtual_service(snapshot, service, caller.namespace)
    if rule is None:
        return straight, [], True
    ways = _ways(rule, caller, protocol)
    if not ways:
        return straight, [], True
    name = full_name(rule)
    route, sure = ways[0]
    if not sure or (own := [field for field in OWN_ANSWERS if route.get(field)]):
        why = f"has {', '.join(own)}" if sure else "routes by what a request is"
        return straight, [f"{name} {why}"], False
    named = _destinations(rule, route, service, port)
    if named is None:
        return straight, [f"{name} routes to another service"], False
    if [(r.subset, r.port) for r in named] == [("", port)]:
        return named, [], True
    shares = ", ".join(f"{r.subset or 'no subset'} {r.weight}" for r in named)
    return named, [f"{name} routes to subsets: {shares}"], True


def _ways(rule: Object, caller: Caller, protocol: str) -> list[tuple[Object, bool]]:
    if protocol == "http":
        return routes(rule, caller.namespace, caller.labels)
    return [(route, not route.get("match")) for route in mappings(dig(rule, "spec", "tcp"))]


def _destinations(
    rule: Object, route: Object, service: MeshService, port: int
) -> list[ServiceRoute] | None:
    """Return the parts of a route; None if one leads to another service."""
    ways = mappings(route.get("route"))
    namespace = namespace_of(rule)
    found: list[ServiceRoute] = []
    for way in ways:
        weight = int(number(way.get("weight")) or 0) if len(ways) > 1 else 1
        if full_host(dig(way, "destination", "host"), namespace) != service.host:
            return None
        number_of = number(dig(way, "destination", "port", "number"))
        subset = str(dig(way, "destination", "subset") or "")
        if weight:
            found.append(ServiceRoute(subset=subset, port=int(number_of or port), weight=weight))
    return found or None


def _policies(
    snapshot: Snapshot, service: MeshService, port: int, caller: Caller, subsets: Sequence[str]
) -> Iterator[tuple[str, Object]]:
    for rule in destination_rules(snapshot, service, caller.namespace, caller.labels):
        for subset in dict.fromkeys(subsets):
            yield full_name(rule), traffic_policy(rule, port, subset)


def _choices(policy: Object) -> Iterator[str]:
    """Yield what of a policy chooses endpoints in another way than by their weights."""
    balancer = policy.get("loadBalancer")
    if dig(balancer, "consistentHash"):
        yield "loadBalancer.consistentHash"
    if dig(balancer, "simple") == "PASSTHROUGH":
        yield "loadBalancer.simple PASSTHROUGH"
    if dig(balancer, "localityLbSetting", "distribute"):
        yield "loadBalancer.localityLbSetting.distribute"
    if dig(balancer, "warmup") or dig(balancer, "warmupDurationSecs"):
        yield "loadBalancer.warmup"
