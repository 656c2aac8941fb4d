"""Which of the users' own rules decide how a caller's requests for a service are shared out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from isthmus.diagnosis.fields import dig, mappings, number, texts
from isthmus.diagnosis.istio_rules import (
    SOURCE_TERMS,
    destination_rules,
    full_host,
    mesh_config,
    most_specific,
    source_matches,
    traffic_policy,
    virtual_service,
)
from isthmus.diagnosis.load_balancing import distribution
from isthmus.diagnosis.objects import full_name, namespace_of
from isthmus.diagnosis.services import MeshService
from isthmus.diagnosis.snapshot import Object, Snapshot
from isthmus.verification import ServiceRoute
from isthmus.verification.service_traffic_findings import NO_ROUTE

CLUSTER_LOCAL = ("*.kube-system.svc.cluster.local", "kubernetes.default.svc.cluster.local")
"""Services that Istio keeps in each cluster by default (istio pilot/pkg/model/cluster_local.go)."""
OWN_ANSWERS = ("fault", "redirect", "directResponse", "mirror", "mirrors", "delegate")
"""Fields of an HTTPRoute by which others than its destinations answer, or are counted."""
LEAVING_OUT = ("localityLbSetting.distribute", "PASSTHROUGH")
"""Ends of what is told of rules that leave endpoints out of a proxy's table."""


class Steering(NamedTuple):
    """Where requests go by rules, and what makes other shares right than the endpoints' weights."""

    routes: tuple[ServiceRoute, ...]
    notes: tuple[str, ...]
    computed: bool
    """Whether shares follow from routes and weights; else a rule chooses in its own way."""
    any_table: bool
    """Whether a rule leaves endpoints out of the table."""


class Request(NamedTuple):
    """Who asks, and for what."""

    namespace: str
    labels: Mapping[str, str]
    port: int
    protocol: str
    path: str = "/"


def steering(snapshot: Snapshot, service: MeshService, request: Request) -> Steering:
    """Return what the rules in force for a caller make of its requests for a service."""
    found, notes, certain = _routes(snapshot, service, request)
    policies = list(_policies(snapshot, service, request, [route.subset for route in found]))
    choosing = [f"{name}: {what}" for name, policy in policies for what in _choices(policy)]
    if dig(mesh_config(snapshot), "localityLbSetting", "distribute"):
        choosing.append(f"MeshConfig: {LEAVING_OUT[0]}")
    any_table = any(each.endswith(LEAVING_OUT) for each in choosing)
    if said := distribution(snapshot, service):
        notes.append(f"Service {service.namespace}/{service.name}: trafficDistribution {said}")
    told = tuple([*notes, *choosing])
    return Steering(tuple(found), told, certain and not choosing, any_table)


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
    snapshot: Snapshot, service: MeshService, request: Request
) -> tuple[list[ServiceRoute], list[str], bool]:
    port = request.port
    straight = [ServiceRoute(port=port)]
    rule = virtual_service(snapshot, service, request.namespace)
    if rule is None:
        return straight, [], True
    ways = _ways(rule, request)
    if not ways:
        kind = "http" if request.protocol == "http" else "tcp"
        return straight, [NO_ROUTE] * bool(dig(rule, "spec", kind)), True
    name = full_name(rule)
    route, sure = ways[0]
    every = [r for way, _ in ways for r in _destinations(rule, way, service, port) or ()]
    anywhere = list(
        dict.fromkeys([*straight, *(r.model_copy(update={"weight": 1}) for r in every)])
    )
    if not sure or (own := [field for field in OWN_ANSWERS if route.get(field)]):
        why = f"has {', '.join(own)}" if sure else "routes by what a request is"
        return anywhere, [f"{name} {why}"], False
    named = _destinations(rule, route, service, port)
    if named is None:
        return anywhere, [f"{name} routes to another service"], False
    if [(r.subset, r.port) for r in named] == [("", port)]:
        return named, [], True
    shares = ", ".join(f"{r.subset or 'no subset'} {r.weight}" for r in named)
    return named, [f"{name} routes to subsets: {shares}"], True


def _ways(rule: Object, request: Request) -> list[tuple[Object, bool]]:
    """Return the routes that a request may take, and whether it certainly takes it if it is first.

    They are tried in order, and the first that matches is taken.
    """
    kind = "http" if request.protocol == "http" else "tcp"
    found: list[tuple[Object, bool]] = []
    for route in mappings(dig(rule, "spec", kind)):
        terms = [_matches(term, request) for term in mappings(route.get("match"))] or [True]
        if any(term is not False for term in terms):
            found.append((route, True in terms))
    return found


def _matches(term: Object, request: Request) -> bool | None:
    """Tell whether a term of a route means a request; None if that cannot be known here."""
    if not source_matches(term, request.namespace, request.labels):
        return False
    known = {
        "port": lambda wanted: number(wanted) == request.port,
        "uri": lambda wanted: _text_matches(wanted, request.path.split("?")[0]),
        "method": lambda wanted: _text_matches(wanted, "GET"),
        "scheme": lambda wanted: _text_matches(wanted, "http"),
    }
    asked = {key: value for key, value in term.items() if key not in SOURCE_TERMS}
    if asked.get("ignoreUriCase"):
        del known["uri"]
    if any(key in known and not known[key](value) for key, value in asked.items()):
        return False
    return True if asked.keys() <= known.keys() else None


def _text_matches(wanted: Any, text: str) -> bool:
    """Tell whether a StringMatch means a text (istio.io, VirtualService: StringMatch)."""
    if (exact := dig(wanted, "exact")) is not None:
        return bool(exact == text)
    if (prefix := dig(wanted, "prefix")) is not None:
        return text.startswith(str(prefix))
    try:
        return re.fullmatch(str(dig(wanted, "regex") or ""), text) is not None
    except re.error:
        return False


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
    snapshot: Snapshot, service: MeshService, request: Request, subsets: Sequence[str]
) -> Iterator[tuple[str, Object]]:
    for rule in destination_rules(snapshot, service, request.namespace, request.labels):
        for subset in dict.fromkeys(subsets):
            yield full_name(rule), traffic_policy(rule, request.port, subset)


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
