"""What a sidecar's endpoint table must list, by what the clusters have: pods, and gateways.

Source: istiod's split horizon (istio pilot/pkg/xds/endpoints/ep_filters.go): pods of the own
network as they are, other networks' pods by the gateways of their clusters.
"""

from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings, texts
from isthmus.diagnosis.gateway_facts import entries, ip
from isthmus.diagnosis.istio_rules import destination_rules, mesh_config, rules
from isthmus.diagnosis.objects import annotations_of, find, labels_of
from isthmus.diagnosis.service_endpoints import Backend, backends
from isthmus.diagnosis.services import MeshService, service_in
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, ProxySnapshot, Snapshot
from isthmus.step_results import join_host_port

SETTLED = 60.0
"""Seconds after which istiod and proxies know of a pod that became ready."""
EXPORT_TO = "networking.istio.io/exportTo"


class Expected(NamedTuple):
    """What of one cluster a table must list."""

    cluster: ClusterSnapshot
    ways: tuple[str, ...]
    """`ip:port`."""
    gateway: bool
    """Whether these are gateways, and not pods."""


def expected(
    snapshot: Snapshot,
    client: ClusterSnapshot,
    proxy: ProxySnapshot,
    service: MeshService,
    port: int,
) -> list[Expected]:
    """Return what a sidecar must list of a service; nothing where a rule may say otherwise."""
    pod = find(client, "Pod", proxy.pod, proxy.namespace)
    if pod is None or _is_steered(snapshot, service, proxy.namespace, pod):
        return []
    families: set[int] = {
        a.version for e in mappings(dig(pod, "status", "podIPs")) if (a := ip(str(e.get("ip"))))
    }
    found = []
    for cluster in snapshot.clusters:
        ready = [b for b in backends(cluster, service, port) or [] if _is_settled(snapshot, b)]
        if cluster.network == client.network:
            ways = [backend.text for backend in ready]
        elif any(backend.in_mesh for backend in ready):
            ways = _gateways(snapshot, cluster, families)
        else:
            continue
        if ways:
            found.append(Expected(cluster, tuple(ways), cluster.network != client.network))
    return found


def _is_settled(snapshot: Snapshot, backend: Backend) -> bool:
    since = backend.ready_since
    return backend.pod is not None and (since is None or snapshot.taken_at - since > SETTLED)


def _gateways(snapshot: Snapshot, cluster: ClusterSnapshot, families: set[int]) -> list[str]:
    """Return where a cluster's gateways are; nothing if one has a host name."""
    ways = [(ip(address), port) for address, port in entries(snapshot, cluster)]
    if any(address is None for address, _ in ways):
        return []
    usable = [(a, port) for a, port in ways if a and (not families or a.version in families)]
    return [join_host_port(str(address), port) for address, port in usable]


def _is_steered(snapshot: Snapshot, service: MeshService, namespace: str, pod: Object) -> bool:
    """Tell whether a rule may leave endpoints out: where they are, how TLS is, whom it is for."""
    found = destination_rules(snapshot, service, namespace, labels_of(pod))
    policies = [p for rule in found for p in _policies(rule)]
    mesh = mesh_config(snapshot)
    objects = [o for c in snapshot.clusters if (o := service_in(c, service))]
    return (
        any(dig(p, "loadBalancer", "localityLbSetting") for p in policies)
        or any(dig(p, "tls", "mode") in ("DISABLE", "SIMPLE") for p in policies)
        or bool(dig(mesh, "localityLbSetting", "distribute") or mesh.get("serviceSettings"))
        or any(_disables(rule) for rule in rules(snapshot, "PeerAuthentication"))
        or any(dig(o, "spec", "internalTrafficPolicy") == "Local" for o in objects)
        or any(annotations_of(o).get(EXPORT_TO) for o in objects)
    )


def _policies(rule: Object) -> list[Object]:
    policy = dig(rule, "spec", "trafficPolicy")
    ports = mappings(dig(policy, "portLevelSettings"))
    return [*([policy] if isinstance(policy, dict) else []), *ports]


def _disables(rule: Object) -> bool:
    ports = dig(rule, "spec", "portLevelMtls")
    every = [dig(rule, "spec", "mtls"), *(ports.values() if isinstance(ports, dict) else ())]
    return "DISABLE" in texts([dig(each, "mode") for each in every])
