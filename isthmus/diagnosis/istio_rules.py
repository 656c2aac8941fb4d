"""Which of Istio's rules hold for a service and its callers, as istiod chooses them.

istiod reads rules from the cluster that it runs in alone (istio pilot/pkg/bootstrap, the config
cluster): a rule that lies in a remote changes nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from isthmus.diagnosis.fields import created, dig, mappings, number, selects, texts
from isthmus.diagnosis.objects import find, is_ending, listed, namespace_of
from isthmus.diagnosis.services import MeshService
from isthmus.diagnosis.snapshot import Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.verification.services import DOMAIN


def mesh_config(snapshot: Snapshot) -> Object:
    """Return MeshConfig as istiod has it in force, else as its ConfigMap has it."""
    host = snapshot.host
    for istiod in host.istiods:
        if istiod.mesh:
            return istiod.mesh
    data = dig(find(host, "ConfigMap", "istio", ISTIO_NAMESPACE), "data", "mesh")
    try:
        found = yaml.safe_load(str(data or ""))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def root_namespace(snapshot: Snapshot) -> str:
    """Return the namespace whose rules hold for the whole mesh."""
    return str(mesh_config(snapshot).get("rootNamespace") or ISTIO_NAMESPACE)


def rules(snapshot: Snapshot, kind: str) -> list[Object]:
    """Return the rules of a kind that istiod reads, the oldest first."""
    found = [item for item in listed(snapshot.host, kind) if not is_ending(item)]
    return sorted(found, key=created)


def full_host(host: Any, namespace: str) -> str:
    """Return a host as Istio takes it: one without a dot is a Service of the rule's namespace.

    Source: istio pilot/pkg/model, ResolveShortnameToFQDN.
    """
    text = str(host or "")
    return text if "." in text or text in ("", "*") else f"{text}.{namespace}.svc.{DOMAIN}"


def host_matches(pattern: str, host: str) -> bool:
    """Tell whether a host of a rule, which may begin with `*`, means this host."""
    return host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host


def most_specific(patterns: Iterable[str], host: str) -> str:
    """Return the pattern that Istio takes for a host: the exact one, else the longest; or none."""
    found = [p for p in patterns if host_matches(p, host)]
    return max(found, key=lambda p: (not p.startswith("*"), len(p)), default="")


def is_visible(rule: Object, namespace: str) -> bool:
    """Tell whether a rule is exported to a namespace (`exportTo`; without it, to all)."""
    to = texts(dig(rule, "spec", "exportTo"))
    own = "." in to and namespace_of(rule) == namespace
    return not to or "*" in to or namespace in to or own


def destination_rules(
    snapshot: Snapshot, service: MeshService, client: str, labels: Mapping[str, str]
) -> list[Object]:
    """Return the DestinationRules in force for a service and callers of a namespace, merged.

    The callers' namespace comes first, then the service's, then the root's (istio
    pilot/pkg/model/push_context.go, destinationRule).
    """
    every = [r for r in rules(snapshot, "DestinationRule") if is_visible(r, client)]
    spaces = dict.fromkeys((client, service.namespace, root_namespace(snapshot))) if every else ()
    for space in spaces:
        hosts = {id(r): _host(r) for r in every if namespace_of(r) == space}
        best = most_specific(hosts.values(), service.host)
        if best:
            return [r for r in every if hosts.get(id(r)) == best and _for_caller(r, client, labels)]
    return []


def _host(rule: Object) -> str:
    return full_host(dig(rule, "spec", "host"), namespace_of(rule))


def _for_caller(rule: Object, client: str, labels: Mapping[str, str]) -> bool:
    chosen = dig(rule, "spec", "workloadSelector")
    return chosen is None or (namespace_of(rule) == client and selects(chosen, labels))


def traffic_policy(rule: Object, port: int | None, subset: str = "") -> Object:
    """Return what a DestinationRule says of a port: a port's own settings replace the others.

    Source: istio pilot/pkg/model/destination_rule.go, MergeTrafficPolicy.
    """
    found = _for_port(dig(rule, "spec", "trafficPolicy"), port)
    for each in subsets([rule]):
        if subset and each.get("name") == subset:
            found = {**found, **_for_port(each.get("trafficPolicy"), port)}
    return found


def _for_port(policy: Any, port: int | None) -> Object:
    if not isinstance(policy, dict):
        return {}
    for each in mappings(policy.get("portLevelSettings")):
        if port is not None and number(dig(each, "port", "number")) == port:
            return {"tls": policy.get("tls"), **each}
    return policy


def subsets(found: Iterable[Object]) -> list[Object]:
    """Return the subsets of DestinationRules, each name once."""
    named: dict[str, Object] = {}
    for rule in found:
        for each in mappings(dig(rule, "spec", "subsets")):
            named.setdefault(str(each.get("name")), each)
    return list(named.values())


def virtual_service(snapshot: Snapshot, service: MeshService, client: str) -> Object | None:
    """Return the VirtualService by which sidecars of a namespace route requests for a service.

    Of several for one host the oldest is taken: sidecars merge none.
    """
    found: dict[str, Object] = {}
    for rule in rules(snapshot, "VirtualService"):
        ways = texts(dig(rule, "spec", "gateways"))
        if (ways and "mesh" not in ways) or not is_visible(rule, client):
            continue
        for host in texts(dig(rule, "spec", "hosts")):
            found.setdefault(full_host(host, namespace_of(rule)), rule)
    return found.get(most_specific(found, service.host))


def routes(
    rule: Object | None, namespace: str, labels: Mapping[str, str]
) -> list[tuple[Object, bool]]:
    """Return the HTTP routes that a caller's request may take, and whether it certainly does.

    They are tried in order; one that matches by what the caller is, and by nothing else, ends it.
    """
    found: list[tuple[Object, bool]] = []
    for route in mappings(dig(rule, "spec", "http")):
        terms = mappings(route.get("match"))
        possible = [term for term in terms if source_matches(term, namespace, labels)]
        if terms and not possible:
            continue
        sure = not terms or any(term.keys() <= SOURCE_TERMS for term in possible)
        found.append((route, sure and not any(not certain for _, certain in found)))
        if sure:
            break
    return found


SOURCE_TERMS = frozenset({"name", "sourceLabels", "sourceNamespace", "gateways"})
"""Terms of an HTTPMatchRequest that a caller alone decides."""


def source_matches(term: Object, namespace: str, labels: Mapping[str, str]) -> bool:
    """Tell whether a term of a route may mean requests of such a caller."""
    wanted, ways = term.get("sourceLabels"), texts(term.get("gateways"))
    if isinstance(wanted, dict) and not selects({"matchLabels": wanted}, labels):
        return False
    if term.get("sourceNamespace") not in (None, "", namespace):
        return False
    return not ways or "mesh" in ways
