"""What a region's caller must find of a service of the users' own, by what all clusters have."""

from collections.abc import Mapping, Sequence

from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.gateway_facts import ip, whole
from isthmus.diagnosis.objects import is_ready, labels_of, name_of
from isthmus.diagnosis.pods import selected
from isthmus.diagnosis.service_endpoints import MESH_TLS, Backend, backends
from isthmus.diagnosis.service_ports import (
    UNSAID,
    find_port,
    protocol_of,
    said_protocol,
    unbalanced,
)
from isthmus.diagnosis.service_steering import Request, is_cluster_local, steering
from isthmus.diagnosis.services import (
    CALLER,
    MeshService,
    pods_of,
    ports,
    reachable,
    service_in,
    target_port,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment import ServiceSpec
from isthmus.environment.namespaces import SAMPLE_NAMESPACE
from isthmus.verification import (
    ExpectedEndpoint,
    Finding,
    ServiceExpectation,
    endpoint_findings,
    gateways_of_network,
)
from isthmus.verification import service_findings as reasons

Gateways = Mapping[str, Sequence[str]]
"""Of each cluster, the `ip:port` of its gateway."""


def expect_service(
    snapshot: Snapshot, wanted: ServiceSpec, client: str, gateways: Gateways
) -> ServiceExpectation:
    """Return what the caller in `client` must find of a service; its findings if it cannot ask."""
    namespace, name = wanted.name.split("/")
    service, cluster = MeshService(namespace, name), snapshot.cluster(client)
    bare = ServiceExpectation(service=wanted.name, client=client, host=snapshot.host.name)
    own = service_in(cluster, service) if cluster else None
    if cluster is None or own is None:
        without = [c.name for c in reachable(snapshot) if service_in(c, service) is None]
        return _refused(bare, reasons.not_there(wanted.name, without))
    if kind := unbalanced(own):
        return _refused(bare, reasons.not_balanced(wanted.name, client, kind))
    port = find_port(own, wanted.port)
    if port is None:
        known = [whole(each.get("port")) for each in ports(own)]
        return _refused(bare, reasons.no_port(wanted.name, client, wanted.port, known))
    made = bare.model_copy(
        update={
            "port": whole(port.get("port")),
            "path": wanted.path,
            "protocol": wanted.protocol or protocol_of(port),
        }
    )
    return _expect(snapshot, service, cluster, own, port, made, gateways)


def _refused(bare: ServiceExpectation, finding: Finding) -> ServiceExpectation:
    return bare.model_copy(update={"findings": (finding,)})


def _expect(
    snapshot: Snapshot,
    service: MeshService,
    client: ClusterSnapshot,
    own: Object,
    port: Object,
    made: ServiceExpectation,
    gateways: Gateways,
) -> ServiceExpectation:
    local = is_cluster_local(snapshot, service)
    asked = [client] if local else reachable(snapshot)
    caller = next(iter(selected(client, SAMPLE_NAMESPACE, CALLER)), {})
    ready = {c.name: _ready(c, service, port) for c in asked if service_in(c, service)}
    usable = {name: _reached(caller, found) for name, found in ready.items()}
    endpoints = _endpoints(snapshot, client, usable, gateways)
    request = Request(SAMPLE_NAMESPACE, labels_of(caller), made.port, made.protocol, made.path)
    rules = steering(snapshot, service, request)
    notes = [*rules.notes]
    notes += ["MeshConfig: clusterLocal, so that no other cluster answers"] if local else []
    node_local = dig(own, "spec", "internalTrafficPolicy") == "Local"
    notes += ["Service: internalTrafficPolicy Local, so that its own node answers"] * node_local
    notes += [UNSAID] * (made.protocol == "tcp" and not said_protocol(port))
    findings = [
        *_unready(snapshot, service, asked),
        *_outside(snapshot, service, client, ready),
        *_no_ways(snapshot, client, usable, gateways),
    ]
    if not endpoints and not findings:
        findings.append(reasons.nobody_ready(made.service, client.name, list(ready)))
    return made.model_copy(
        update={
            "endpoints": tuple(endpoints),
            "routes": rules.routes,
            "notes": tuple(notes),
            "steered": not rules.computed or node_local,
            "any_table": rules.any_table or node_local,
            "findings": tuple(findings),
        }
    )


def _endpoints(
    snapshot: Snapshot,
    client: ClusterSnapshot,
    ready: Mapping[str, Sequence[Backend]],
    gateways: Gateways,
) -> list[ExpectedEndpoint]:
    """Return the pods of the client's own network, and the gateways of the others that have some.

    Source: istiod's split horizon (istio pilot/pkg/xds/endpoints/ep_filters.go).
    """
    networks = {c.name: c.network for c in snapshot.clusters}
    near = [c for c in ready if networks[c] == client.network]
    found = [
        ExpectedEndpoint(text=b.text, clusters=(c,), pods=(_named(c, b),))
        for c in near
        for b in ready[c]
    ]
    for network in dict.fromkeys(networks[c] for c in ready if c not in near):
        behind = {c: [b for b in ready[c] if b.in_mesh] for c in ready if networks[c] == network}
        clusters = tuple(c for c, those in behind.items() if those)
        pods = tuple(_named(c, b) for c, those in behind.items() for b in those)
        ways = gateways_of_network(network, gateways, networks) if pods else []
        found += [
            ExpectedEndpoint(text=way, clusters=clusters, pods=pods, gateway=True) for way in ways
        ]
    return found


def _reached(caller: Object, found: Sequence[Backend]) -> list[Backend]:
    """Return those whose address is of an IP version that the caller's pod has, if it says so.

    Source: istio pilot/pkg/xds/endpoints/endpoint_builder.go, which leaves the others out.
    """
    own = (ip(str(each.get("ip"))) for each in mappings(dig(caller, "status", "podIPs")))
    versions = {address.version for address in own if address}
    return [
        b for b in found if not versions or (a := ip(b.address)) is None or a.version in versions
    ]


def _named(cluster: str, backend: Backend) -> str:
    return f"{cluster}/{name_of(backend.pod) if backend.pod else backend.text}"


def _ready(cluster: ClusterSnapshot, service: MeshService, port: Object) -> list[Backend]:
    """Return who is ready behind a port; by the pods where a cluster tells no EndpointSlices."""
    told = backends(cluster, service, whole(port.get("port")))
    if told is not None:
        return told
    pods = [pod for pod in pods_of(cluster, service) if is_ready(pod)]
    found = [(str(dig(p, "status", "podIP") or ""), target_port(port, p), p) for p in pods]
    return [Backend(ip, number, pod, None) for ip, number, pod in found if ip and number]


def _unready(
    snapshot: Snapshot, service: MeshService, asked: Sequence[ClusterSnapshot]
) -> list[Finding]:
    """Return a reason for each cluster that has pods of the service and no ready one."""
    name = f"{service.namespace}/{service.name}"
    having = [c for c in asked if (pods := pods_of(c, service)) and not any(map(is_ready, pods))]
    return [reasons.nobody_ready(name, c.name, [c.name]) for c in having]


def _outside(
    snapshot: Snapshot,
    service: MeshService,
    client: ClusterSnapshot,
    ready: Mapping[str, Sequence[Backend]],
) -> list[Finding]:
    """Return a reason for each cluster of another network whose ready pods have no sidecar."""
    name = f"{service.namespace}/{service.name}"
    return [
        reasons.outside_mesh(name, c.name, pods, c.network)
        for c in snapshot.clusters
        if c.network != client.network and (pods := _strangers(ready.get(c.name, ())))
    ]


def _no_ways(
    snapshot: Snapshot,
    client: ClusterSnapshot,
    ready: Mapping[str, Sequence[Backend]],
    gateways: Gateways,
) -> list[Finding]:
    """Return a reason for each other network that has pods and no gateway's address."""
    networks = {c.name: c.network for c in snapshot.clusters}
    having = [c for c, found in ready.items() if any(b.in_mesh for b in found)]
    return [
        endpoint_findings.no_gateway(client.name, n, [c for c in having if networks[c] == n])
        for n in dict.fromkeys(networks[c] for c in having)
        if n != client.network and not gateways_of_network(n, gateways, networks)
    ]


def _strangers(found: Sequence[Backend]) -> list[str]:
    """Return the pods, if none of them takes mutual TLS."""
    pods = [backend.pod for backend in found if backend.pod is not None]
    meshed = any(labels_of(pod).get(MESH_TLS) == "istio" for pod in pods)
    return [] if meshed else [name_of(pod) for pod in pods]
