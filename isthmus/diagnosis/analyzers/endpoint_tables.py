"""What sidecars really know: their endpoint tables, against what the clusters have."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from isthmus.diagnosis.expected_endpoints import Target, expected, targets
from isthmus.diagnosis.fields import created
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import entries, plain, shown
from isthmus.diagnosis.known_addresses import known_addresses
from isthmus.diagnosis.network_gateways import shards
from isthmus.diagnosis.objects import find, is_ready
from isthmus.diagnosis.service_endpoints import service_of
from isthmus.diagnosis.services import MeshService
from isthmus.diagnosis.snapshot import ClusterSnapshot, ProxyEndpoint, ProxySnapshot, Snapshot
from isthmus.diagnosis.ways import gateway_probes, is_good
from isthmus.diagnosis.xds_status import NOT_CONNECTED, ProxyStates, proxy_states
from isthmus.environment.namespaces import ISTIO_NAMESPACE

SETTLED = 60.0
"""Seconds after which a proxy that was just made has all that it asked for."""
Targets = Mapping[tuple[MeshService, int], Target]


class Gap(NamedTuple):
    """What tables of one cluster's sidecars lack of one cluster."""

    client: str
    owner: str
    service: MeshService
    missing: tuple[str, ...]
    gateway: bool


@analyzer("F53", "A sidecar's endpoint table differs from what the clusters have")
def table_differs(snapshot: Snapshot) -> Iterator[Failure]:
    """Find pods and gateways that sidecars do not list, and endpoints that never took a connection.

    And proxies that no istiod serves: their tables stay as they are.
    """
    states, looked_up = proxy_states(snapshot), targets(snapshot)
    gaps: dict[Gap, list[ProxySnapshot]] = {}
    for cluster in snapshot.clusters:
        settled = [p for p in cluster.proxies if _is_settled(snapshot, cluster, p)]
        for proxy in settled:
            for gap in _gaps(snapshot, cluster, proxy, looked_up):
                gaps.setdefault(gap, []).append(proxy)
        lost = [p for p in settled if states.of(cluster.name, p) == NOT_CONNECTED]
        if lost:
            yield _not_connected(snapshot, cluster, lost)
    for gap, proxies in gaps.items():
        yield _missing(snapshot, gap, proxies, states)
    known, reached = known_addresses(snapshot), _reached(snapshot)
    for cluster in snapshot.clusters:
        yield from _unconnected(snapshot, cluster, known, reached)


def _is_settled(snapshot: Snapshot, cluster: ClusterSnapshot, proxy: ProxySnapshot) -> bool:
    pod = find(cluster, "Pod", proxy.pod, proxy.namespace)
    return bool(pod) and is_ready(pod or {}) and snapshot.taken_at - created(pod or {}) > SETTLED


def _gaps(
    snapshot: Snapshot, cluster: ClusterSnapshot, proxy: ProxySnapshot, looked_up: Targets
) -> Iterator[Gap]:
    for name, table in proxy.endpoints.items():
        found = service_of(name)
        if proxy.kind != "sidecar" or "clusters" in proxy.errors or found is None:
            continue
        listed = {endpoint.text for endpoint in table}
        for each in expected(snapshot, looked_up[found], cluster, proxy):
            if not listed.issuperset(each.ways):
                missing = tuple(way for way in each.ways if way not in listed)
                yield Gap(cluster.name, each.cluster.name, found[0], missing, each.gateway)


def _missing(
    snapshot: Snapshot, gap: Gap, proxies: list[ProxySnapshot], states: ProxyStates
) -> Failure:
    what = f"the gateway of {gap.owner}" if gap.gateway else f"ready pods of {gap.owner}"
    names = [f"{p.namespace}/{p.pod}" for p in proxies]
    told = {s for p in proxies if (s := states.of(gap.client, p)) is not None}
    cause, fix, certain = _why_missing(snapshot, gap, proxies, told)
    return Failure(
        clusters=tuple(dict.fromkeys((gap.client, gap.owner))),
        object=f"{gap.service.text} {shown(gap.missing)}",
        evidence=(
            f"{gap.client}: {shown(names)} list no endpoint {shown(gap.missing)} for "
            f"{gap.service.host}: {what}",
            *(f"{gap.client}: {said}" for said in sorted(told - {""})),
        ),
        cause=cause,
        fix=fix,
        certain=certain,
    )


def _why_missing(
    snapshot: Snapshot, gap: Gap, proxies: list[ProxySnapshot], told: set[str]
) -> tuple[str, str, bool]:
    renew = kubectl(gap.client, f"-n {proxies[0].namespace} delete pod {proxies[0].pod}")
    restart = kubectl(snapshot.host.name, f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod")
    if told and "" not in told:
        state = shown(sorted(told))
        return f"the sidecars have not got, or not taken, what istiod has: {state}", renew, True
    known = [s for i in snapshot.host.istiods for s in shards(i) if s.cluster == gap.owner]
    if snapshot.host.istiods and any(i.endpoint_shards for i in snapshot.host.istiods):
        wanted = [
            s for s in known if (s.host, s.namespace) == (gap.service.host, gap.service.namespace)
        ]
        if not any(shard.addresses for shard in wanted):
            cause = (
                f"istiod holds no endpoint of {gap.owner} for this service, so it does not read "
            )
            return f"{cause}the cluster, or not the Service's namespace in it", restart, False
    cause = (
        "istiod has the endpoints, and sends them not: either it knows another gateway address, "
    )
    return (
        f"{cause}or a rule (Sidecar, exportTo) hides them, or it has not yet sent them",
        restart,
        False,
    )


def _not_connected(
    snapshot: Snapshot, cluster: ClusterSnapshot, lost: list[ProxySnapshot]
) -> Failure:
    names = [f"{p.namespace}/{p.pod}" for p in lost]
    replicas = [f"{c.name}: {i.pod}" for c in snapshot.clusters for i in c.istiods]
    logs = f"-n {lost[0].namespace} logs {lost[0].pod} -c istio-proxy --tail=50"
    return Failure(
        clusters=(cluster.name,),
        object=f"proxies of {cluster.name}",
        evidence=(
            f"{cluster.name}: {shown(names)} are in /debug/syncz of no replica",
            f"asked: {shown(replicas)}",
        ),
        cause=f"these proxies are {NOT_CONNECTED}: they go on with what they know, and learn of "
        "no new endpoint; their logs say what they meet at istiod",
        fix=kubectl(cluster.name, logs),
        certain=False,
    )


def _unconnected(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    known: set[str],
    reached: set[tuple[str, str]],
) -> Iterator[Failure]:
    """Find listed endpoints to which connections were tried and none ever came about."""
    failed: dict[str, list[tuple[ProxySnapshot, ProxyEndpoint]]] = {}
    for proxy, endpoint in _endpoints(cluster):
        never = endpoint.connect_failures and endpoint.requests and not endpoint.successes
        if not never or (known and plain(endpoint.address) not in known):
            continue  # well, or F29
        if (cluster.name, endpoint.address) not in reached:
            failed.setdefault(endpoint.text, []).append((proxy, endpoint))
    for text, uses in failed.items():
        names = shown([f"{proxy.namespace}/{proxy.pod}" for proxy, _ in uses])
        count = sum(endpoint.connect_failures for _, endpoint in uses)
        proxy, endpoint = uses[0]
        owners = (c.name for c in snapshot.clusters if _has(snapshot, c, endpoint.address))
        dial = f"exec {proxy.pod} -c istio-proxy -- curl -sv --connect-timeout 5 -m 6"
        yield Failure(
            clusters=tuple(dict.fromkeys((cluster.name, *owners))),
            object=f"endpoint {text}",
            evidence=(
                f"{cluster.name}: {names} list {text}: {count} connections failed, none was made "
                "since the proxies started",
            ),
            cause="either nobody listens at that address, or a firewall or a network policy drops "
            "what goes there; Envoy repeats such requests elsewhere",
            fix=kubectl(cluster.name, f"-n {proxy.namespace} {dial} telnet://{text}"),
            certain=False,
        )


def _has(snapshot: Snapshot, cluster: ClusterSnapshot, address: str) -> bool:
    """Tell whether a gateway of a cluster has an address."""
    return address in (own for own, _ in entries(snapshot, cluster))


def _endpoints(cluster: ClusterSnapshot) -> Iterator[tuple[ProxySnapshot, ProxyEndpoint]]:
    for proxy in cluster.proxies:
        for name, table in proxy.endpoints.items():
            if service_of(name):
                yield from ((proxy, endpoint) for endpoint in table)


def _reached(snapshot: Snapshot) -> set[tuple[str, str]]:
    """Return from which cluster which gateway's address has just been reached."""
    tried = (probe for found in gateway_probes(snapshot).values() for probe in found)
    return {(probe.source, probe.host) for probe in tried if is_good(probe)}


ANALYZERS = (table_differs,)
