"""What a sidecar's endpoint table must list, by what the clusters have: pods, and gateways.

Source: istiod's split horizon (istio pilot/pkg/xds/endpoints/ep_filters.go): pods of the own
network as they are, other networks' pods by the gateways of their clusters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings, texts
from isthmus.diagnosis.gateway_facts import entries, ip
from isthmus.diagnosis.istio_rules import destination_rules, mesh_config, rules
from isthmus.diagnosis.objects import annotations_of, find, labels_of
from isthmus.diagnosis.service_endpoints import Backend, backends, service_of
from isthmus.diagnosis.services import MeshService, service_in
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, ProxySnapshot, Snapshot
from isthmus.step_results import join_host_port

SETTLED = 60.0
"""Seconds after which istiod and proxies know of a pod that became ready."""
EXPORT_TO = "networking.istio.io/exportTo"
Families = frozenset[int]
"""IP versions; none: they are not known."""
Gateways = Mapping[Families, tuple[str, ...]]
"""The gateways of a cluster that clients of such addresses are sent to, `ip:port`."""


class Expected(NamedTuple):
    """What of one cluster a table must list."""

    cluster: ClusterSnapshot
    ways: tuple[str, ...]
    """`ip:port`."""
    gateway: bool
    """Whether these are gateways, and not pods."""


class Offer(NamedTuple):
    """What one cluster has of a service: for sidecars of its own network, and for others."""

    near: Expected
    far: Mapping[Families, Expected]
    """By the IP versions of the sidecar's pod."""


@dataclass(frozen=True)
class Target:
    """A port of a service, as all clusters have it."""

    service: MeshService
    offers: tuple[Offer, ...]
    steered: bool
    """Whether something other than a DestinationRule may leave endpoints out."""


def targets(snapshot: Snapshot) -> dict[tuple[MeshService, int], Target]:
    """Return what clusters have of the services in sidecars' tables, each looked up once."""
    sidecars = (p for c in snapshot.clusters for p in c.proxies if p.kind == "sidecar")
    names = dict.fromkeys(name for proxy in sidecars for name in proxy.endpoints)
    ways = [(cluster, _gateways(snapshot, cluster)) for cluster in snapshot.clusters]
    steered = _are_all_steered(snapshot)
    return {
        (service, port): Target(
            service,
            tuple(_offer(snapshot, cluster, far, service, port) for cluster, far in ways),
            steered or _keeps_back(snapshot, service),
        )
        for service, port in filter(None, map(service_of, names))
    }


def _offer(
    snapshot: Snapshot, cluster: ClusterSnapshot, far: Gateways, service: MeshService, port: int
) -> Offer:
    ready = [b for b in backends(cluster, service, port) or [] if _is_settled(snapshot, b)]
    in_mesh = any(backend.in_mesh for backend in ready)
    return Offer(
        Expected(cluster, tuple(backend.text for backend in ready), False),
        {f: Expected(cluster, ways if in_mesh else (), True) for f, ways in far.items()},
    )


def expected(
    snapshot: Snapshot, target: Target, client: ClusterSnapshot, proxy: ProxySnapshot
) -> list[Expected]:
    """Return what a sidecar must list of a service; nothing where a rule may say otherwise."""
    pod = find(client, "Pod", proxy.pod, proxy.namespace)
    if pod is None or target.steered or _is_ruled(snapshot, target.service, proxy.namespace, pod):
        return []
    addresses = (ip(str(e.get("ip"))) for e in mappings(dig(pod, "status", "podIPs")))
    families = frozenset(a.version for a in addresses if a)
    own = client.network
    found = [o.near if o.near.cluster.network == own else o.far[families] for o in target.offers]
    return [each for each in found if each.ways]


def _is_settled(snapshot: Snapshot, backend: Backend) -> bool:
    since = backend.ready_since
    return backend.pod is not None and (since is None or snapshot.taken_at - since > SETTLED)


def _gateways(snapshot: Snapshot, cluster: ClusterSnapshot) -> Gateways:
    """Return where a cluster's gateways are; nothing if one has a host name."""
    ways = [(ip(address), port) for address, port in entries(snapshot, cluster)]
    usable = [(a, port) for a, port in ways if a] if all(a for a, _ in ways) else []
    return {
        families: tuple(
            join_host_port(str(a), port)
            for a, port in usable
            if not families or a.version in families
        )
        for families in map(frozenset, ((), (4,), (6,), (4, 6)))
    }


def _are_all_steered(snapshot: Snapshot) -> bool:
    """Tell whether the mesh's own settings may leave endpoints of any service out."""
    mesh = mesh_config(snapshot)
    return bool(dig(mesh, "localityLbSetting", "distribute") or mesh.get("serviceSettings")) or any(
        _disables(rule) for rule in rules(snapshot, "PeerAuthentication")
    )


def _keeps_back(snapshot: Snapshot, service: MeshService) -> bool:
    """Tell whether a cluster's Service says that not everybody gets its endpoints."""
    objects = [o for c in snapshot.clusters if (o := service_in(c, service))]
    return any(
        dig(o, "spec", "internalTrafficPolicy") == "Local" or annotations_of(o).get(EXPORT_TO)
        for o in objects
    )


def _is_ruled(snapshot: Snapshot, service: MeshService, namespace: str, pod: Object) -> bool:
    """Tell whether a DestinationRule may leave endpoints out: where they are, how TLS is."""
    found = destination_rules(snapshot, service, namespace, labels_of(pod))
    policies = [p for rule in found for p in _policies(rule)]
    return any(
        dig(p, "loadBalancer", "localityLbSetting")
        or dig(p, "tls", "mode") in ("DISABLE", "SIMPLE")
        for p in policies
    )


def _policies(rule: Object) -> list[Object]:
    policy = dig(rule, "spec", "trafficPolicy")
    ports = mappings(dig(policy, "portLevelSettings"))
    return [*([policy] if isinstance(policy, dict) else []), *ports]


def _disables(rule: Object) -> bool:
    ports = dig(rule, "spec", "portLevelMtls")
    every = [dig(rule, "spec", "mtls"), *(ports.values() if isinstance(ports, dict) else ())]
    return "DISABLE" in texts([dig(each, "mode") for each in every])
