"""The objects by which gateways let other networks in, and remotes reach the control plane."""

from collections.abc import Iterator, Mapping

from isthmus.diagnosis import istiod_exposure
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import (
    gateway_port,
    own_service,
    published,
    shown,
    stack_of,
)
from isthmus.diagnosis.gateway_servers import Server, gateway_labels, servers, shadowing
from isthmus.diagnosis.objects import full_name, name_of, namespace_of, was_listed
from isthmus.diagnosis.services import SAMPLE, up
from isthmus.diagnosis.snapshot import Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
SPACE = ISTIO_NAMESPACE
CROSS_NETWORK = {"labels": "cross-network-gateway", "meshNetworks": "cluster-aware-gateway"}
"""Isthmus's names of the Gateway, by how a stack knows networks (expose-services.yaml.j2)."""


@analyzer("F47", "No Gateway lets other networks in, or remotes to the control plane")
def not_served(snapshot: Snapshot) -> Iterator[Failure]:
    """Find gateways that are told to serve nothing, or something else, where others ask."""
    yield from _unpublished(snapshot)
    if was_listed(snapshot.host, "Gateway"):
        known = servers(snapshot)
        yield from _no_passthrough(snapshot, known)
        if was_listed(snapshot.host, "VirtualService"):
            yield from _no_way_to_istiod(snapshot, known)


def _unpublished(snapshot: Snapshot) -> Iterator[Failure]:
    for cluster in snapshot.clusters:
        service = own_service(snapshot, cluster)
        wanted = [gateway_port(snapshot, service)] if service else []
        if cluster is snapshot.host and not istiod_exposure.other_endpoint(snapshot):
            wanted += istiod_exposure.ports(snapshot)
        lacking = [port for port in wanted if service and port not in published(service)]
        if service and lacking:
            has = shown(map(str, published(service)), 10) or "none"
            yield Failure(
                clusters=(cluster.name,),
                object=full_name(service),
                evidence=(
                    f"{cluster.name}: {full_name(service)} publishes the ports {has}, and not "
                    f"{shown(map(str, lacking))}",
                ),
                cause="others ask the gateway at a port that its Service does not publish",
                fix=up(snapshot),
            )


def _no_passthrough(snapshot: Snapshot, known: list[Server]) -> Iterator[Failure]:
    """Find the gateways without a server that passes on what other networks send."""
    labels = {c.name: gateway_labels(snapshot, c) for c in snapshot.clusters}
    asked = [c for c in snapshot.clusters if labels[c.name]]
    shut = [
        (c, f"{c.name}'s gateway lacks", fault)
        for c in asked
        if (fault := _fault(snapshot, known, labels[c.name]))
    ]
    if len(shut) > 1 and len(shut) == len(asked) and len({fault for *_, fault in shut}) == 1:
        shut = [(snapshot.host, "every gateway lacks", shut[0][2])]
    for cluster, whose, (name, said) in shut:
        yield Failure(
            clusters=(cluster.name,),
            object=name,
            evidence=tuple(f"{snapshot.host.name}: {line}" for line in said.splitlines()),
            cause=f"{whose} a server for port {_port(snapshot)} with TLS mode "
            f"{AUTO_PASSTHROUGH} and hosts *.local, which passes requests on to pods",
            fix=_fix(snapshot, name),
        )


def _fault(
    snapshot: Snapshot, known: list[Server], labels: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return which Gateway is at fault for such pods, and how; None if one is right."""
    port, name = _port(snapshot), CROSS_NETWORK[stack_of(snapshot).networks]
    right = [s for s in known if not _differences(s, port, labels)]
    older = [shadowing(server, known, labels) for server in right]
    if right and None in older:
        return None
    for server, other in zip(right, older, strict=True):
        if other:
            said = f"{other.name} has port {port} for the same pods, is older, and is served in "
            return other.name, f"{said}place of {server.name}"
    own = [s for s in known if (namespace_of(s.gateway), name_of(s.gateway)) == (SPACE, name)]
    if own:
        faults = min((_differences(s, port, labels) for s in own), key=len)
        return own[0].name, "\n".join(faults)
    missing = f"there is no Gateway {SPACE}/{name}, nor another like it"
    return f"Gateway {SPACE}/{name}", missing


def _differences(server: Server, port: int, labels: Mapping[str, str]) -> list[str]:
    """Return in what a server differs from one that passes on what other networks send."""
    found = []
    if not server.is_for(labels):
        has = [f"{k}={labels[k]}" if k in labels else f"no {k}" for k in sorted(server.selector)]
        wanted = istiod_exposure.selector_text(server)
        found.append(f"{server.name} selects {wanted}, and the gateway's pods have {shown(has)}")
    if server.port != port:
        found.append(f"{server.name} serves port {server.port}, and other networks ask at {port}")
    if server.mode != AUTO_PASSTHROUGH:
        found.append(f"{server.name} has TLS mode {server.mode or 'none'} on port {server.port}")
    if not server.covers(SAMPLE.host):
        hosts = shown(server.hosts) or "none"
        found.append(f"{server.name} has the hosts {hosts}, which do not cover {SAMPLE.host}")
    return found


def _no_way_to_istiod(snapshot: Snapshot, known: list[Server]) -> Iterator[Failure]:
    """Find ports at which the host's gateway does not pass remotes on to istiod."""
    labels, host = gateway_labels(snapshot, snapshot.host), snapshot.host.name
    if not labels or istiod_exposure.other_endpoint(snapshot):
        return
    for port, kind, fault in istiod_exposure.faults(snapshot, known, labels):
        yield Failure(
            clusters=(host,),
            object=f"{kind} of istiod's port {port}",
            evidence=(f"{host}: {fault}",),
            cause=f"the host's gateway does not pass on to istiod what remotes send to port {port}",
            fix=up(snapshot),
        )


def _fix(snapshot: Snapshot, name: str) -> str:
    """Return what mends it: Isthmus makes its own Gateway anew, and no other."""
    space, _, own = name.partition(" ")[2].partition("/")
    if own in CROSS_NETWORK.values():
        return up(snapshot)
    command = f"-n {space} edit gateways.networking.istio.io {own}"
    return f"# give it another port or another selector:\n{kubectl(snapshot.host.name, command)}"


def _port(snapshot: Snapshot) -> int:
    return stack_of(snapshot).gateway.port


ANALYZERS = (not_served,)
