"""Gateways whose load balancer has a host name: who resolves it, and to what."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import (
    balancer_addresses,
    entries,
    gateway_services,
    ip,
    resolutions,
    shown,
    stack_of,
)
from isthmus.diagnosis.network_gateways import known_gateways
from isthmus.diagnosis.objects import full_name
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, ProxyEndpoint, Snapshot, TlsProbe
from isthmus.diagnosis.ways import seen
from isthmus.environment.namespaces import ISTIO_NAMESPACE


@analyzer("F13", "A gateway's load balancer has only a host name, which this Istio passes over")
def only_a_name(snapshot: Snapshot) -> Iterator[Failure]:
    """Find host names where istiod takes addresses (Istio 1.7, pilot/pkg/xds/ep_filters.go)."""
    stack = stack_of(snapshot)
    for cluster in snapshot.clusters if not stack.gateway.hostnames else ():
        for service in gateway_services(snapshot, cluster):
            given = balancer_addresses(service)
            if given and not any(map(ip, given)):
                yield Failure(
                    clusters=(cluster.name,),
                    object=full_name(service),
                    evidence=(f"{cluster.name}: {full_name(service)} has {shown(given)}",),
                    cause=f"istiod {stack.versions.istio} sends proxies IP addresses only, so no "
                    f"other network is sent to {cluster.name}",
                    fix="# give the Service a fixed address by `overlays` in the environment file "
                    f"(k8s.service.loadBalancerIP), then:\n{up(snapshot)}",
                )


@analyzer("F40", "The host name of a gateway's load balancer does not lead to it")
def name_leads_elsewhere(snapshot: Snapshot) -> Iterator[Failure]:
    """Find names that istiod or a remote cannot resolve, and addresses that are no longer theirs.

    istiod resolves them in the host, for the proxies of all clusters (istio pilot/pkg/model,
    resolveHostnameGateways); a remote resolves the host's own name, to reach istiod.
    """
    if not stack_of(snapshot).gateway.hostnames:
        return
    told, tried = resolutions(snapshot), _tried(snapshot)
    for cluster in snapshot.clusters:
        for name in _names(snapshot, cluster):
            yield from _unresolved(snapshot, cluster, name, tried.get(name, []))
            yield from _elsewhere(snapshot, cluster, name, told.get(name, {}))


def _tried(snapshot: Snapshot) -> dict[str, list[TlsProbe]]:
    found: dict[str, list[TlsProbe]] = {}
    for probe in snapshot.probes:
        if not probe.skipped:
            found.setdefault(probe.host, []).append(probe)
    return found


def _names(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[str]:
    return [name for name, _ in entries(snapshot, cluster) if not ip(name)]


def _unresolved(
    snapshot: Snapshot, cluster: ClusterSnapshot, name: str, tried: list[TlsProbe]
) -> Iterator[Failure]:
    failed = [p for p in tried if p.error_at == "name"]
    if len(failed) > 1 and len(failed) == len(tried):
        yield _unknown(snapshot, (cluster.name,), cluster, name, failed)
        return
    # Proxies get addresses: the names that matter are asked by the host, or are the host's.
    pairs = [p for p in failed if snapshot.host.name in (p.source, cluster.name)]
    for probe in pairs:
        yield _unknown(snapshot, (probe.source, cluster.name), cluster, name, [probe])
    told = any(istiod.networks is not None for istiod in snapshot.host.istiods)
    lost = told and cluster.network not in {g.network for g in known_gateways(snapshot)}
    if lost and all(not ip(a) for a, _ in entries(snapshot, cluster)) and not pairs:
        yield _unknown(snapshot, (cluster.name,), cluster, name, [])


def _unknown(
    snapshot: Snapshot,
    clusters: tuple[str, ...],
    cluster: ClusterSnapshot,
    name: str,
    failed: list[TlsProbe],
) -> Failure:
    host = snapshot.host.name
    sources = shown(dict.fromkeys(p.source for p in failed)) or host
    effect = f"no proxy is sent to {cluster.name}'s gateway"
    if cluster.name == host:
        effect = "remotes do not reach istiod"
    look = kubectl(host, f"-n {ISTIO_NAMESPACE} logs deployment/istiod | grep -F {name}")
    line = f"{host}: istiod knows no gateway of {cluster.network}, only the name {name}"
    return Failure(
        clusters=clusters,
        object=name,
        evidence=tuple(map(seen, failed)) or (line,),
        cause=f"the DNS of {sources} gives no address for {name}, so {effect}",
        fix="# make the name resolve there (a private zone, a forwarder), then look:\n"
        f"{_look_up(failed[0], name) if failed else look}",
    )


def _elsewhere(
    snapshot: Snapshot, cluster: ClusterSnapshot, name: str, told: dict[str, set[str]]
) -> Iterator[Failure]:
    """Find what proxies are sent to that no cluster gets for the name.

    Only where no address is shared: a load balancer may answer with some of its addresses.
    """
    sent = {a for gateway, a, _ in known_gateways(snapshot) if gateway == cluster.network}
    now = set().union(*told.values())
    if not sent or not now or sent & now or len(_names(snapshot, cluster)) > 1:
        return
    if any(ip(address) for address, _ in entries(snapshot, cluster)):
        return
    failing = [e for e in _used(snapshot, sent) if e.connect_failures and not e.successes]
    yield Failure(
        clusters=(cluster.name,),
        object=name,
        evidence=(
            f"{snapshot.host.name}: istiod sends proxies to {shown(sorted(sent))} for "
            f"{cluster.network}",
            *(f"{s}: {name} is {shown(sorted(a))}" for s, a in _in_order(snapshot, told)),
            *(f"{e.text}: all {e.connect_failures} connections failed" for e in failing),
        ),
        cause="either the name has got other addresses since istiod looked it up, or the host's "
        "DNS gives istiod other ones than the clusters that ask (split horizon)",
        fix=kubectl(snapshot.host.name, f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod"),
        severity="error" if failing else "warning",
        certain=False,
    )


def _in_order(snapshot: Snapshot, told: dict[str, set[str]]) -> list[tuple[str, set[str]]]:
    return [(c.name, told[c.name]) for c in snapshot.clusters if told.get(c.name)]


def _used(snapshot: Snapshot, addresses: set[str]) -> list[ProxyEndpoint]:
    every = (t for c in snapshot.clusters for p in c.proxies for t in p.endpoints.values())
    return [e for table in every for e in table if e.address in addresses]


def _look_up(probe: TlsProbe, name: str) -> str:
    space, _, pod = probe.source_pod.partition("/")
    return kubectl(probe.source, f"-n {space} exec {pod} -c istio-proxy -- getent hosts {name}")


ANALYZERS = (only_a_name, name_leads_elsewhere)
