"""Who answers by TLS at a gateway's address: a sidecar behind it, or something in between."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import shown, stack_of
from isthmus.diagnosis.service_endpoints import backends, service_of
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import Snapshot, TlsProbe
from isthmus.diagnosis.trust import describe
from isthmus.diagnosis.ways import Shut, gateway_probes, grouped, seen
from isthmus.environment.namespaces import ISTIO_NAMESPACE

SPIFFE = "spiffe://"
"""What the name of every workload's certificate begins with (SPIFFE-ID, 2)."""
NO_TLS = ("wrong version number", "packet length", "http request", "unknown protocol", "not ssl")
"""What OpenSSL says of an answer that is no TLS."""
SILENT = ("no answer", "timed out", "timeout")


@analyzer("F15", "TLS to a gateway's address is not answered by a sidecar of the mesh")
def answered_by_another(snapshot: Snapshot) -> Iterator[Failure]:
    """Find load balancers that end TLS or speak HTTP, and gateways that close what is asked."""
    tried = {pair: [p for p in found if p.connected] for pair, found in _judged(snapshot).items()}
    for shut in grouped({p: found for p, found in tried.items() if found}, _is_shut):
        first = shut.probes[0]
        cause, fix, certain = _judge(snapshot, shut, first)
        yield Failure(
            clusters=shut.clusters,
            object=shown(dict.fromkeys(probe.endpoint for probe in shut.probes)),
            evidence=tuple(line for probe in shut.probes for line in _evidence(probe)),
            cause=cause,
            fix=fix,
            certain=certain,
        )


def _judged(snapshot: Snapshot) -> dict[tuple[str, str], list[TlsProbe]]:
    """Return the ways to gateways that have something to hand requests on to."""
    found = {pair: probes for pair, probes in gateway_probes(snapshot).items() if probes}
    networks = {cluster.name: cluster.network for cluster in snapshot.clusters}
    asked = {pair: (networks.get(p[0].target), p[0].server_name) for pair, p in found.items()}
    empty = {each for each in dict.fromkeys(asked.values()) if _has_nothing(snapshot, *each)}
    return {pair: probes for pair, probes in found.items() if asked[pair] not in empty}


def _has_nothing(snapshot: Snapshot, network: str | None, server_name: str) -> bool:
    """Tell whether the asked network has no pod for the name: then nobody is sent there."""
    named = service_of(server_name)
    if network is None or named is None:
        return False
    near = [c for c in snapshot.clusters if c.network == network]
    every = [backends(c, *named) for c in near]
    return None not in every and not any(b.in_mesh for found in every for b in found or ())


def _is_shut(probes: list[TlsProbe]) -> bool:
    return bool(probes) and all(map(_is_wrong, probes))


def _is_wrong(probe: TlsProbe) -> bool:
    if not probe.certificates:
        return probe.error_at == "tls"
    return not _is_workload(probe) or probe.wants_client_certificate is False


def _is_workload(probe: TlsProbe) -> bool:
    return any(name.startswith(SPIFFE) for name in probe.certificates[0].sans)


def _evidence(probe: TlsProbe) -> Iterator[str]:
    yield f"{seen(probe)}, SNI {probe.server_name or 'none'}, ALPN {shown(probe.alpn) or 'none'}"
    if probe.certificates:
        leaf = probe.certificates[0]
        names = shown(leaf.sans) or "none"
        yield f"it presents {describe(leaf)}, issued by {leaf.issuer or 'nobody named'}: {names}"
    if probe.wants_client_certificate is False:
        yield "it asks for no certificate of the client"


def _judge(snapshot: Snapshot, shut: Shut, probe: TlsProbe) -> tuple[str, str, bool]:
    """Return cause and fix, and whether the evidence leaves no other cause."""
    said = probe.error.lower()
    target, name = probe.target, stack_of(snapshot).gateway.name
    service = kubectl(target, f"-n {ISTIO_NAMESPACE} describe service {name}")
    layer_4 = f"# make its listener for port {probe.port} plain TCP (layer 4), without TLS:"
    if probe.certificates and (shut.others_pass or not _ends_at_target(shut)):
        cause = "something on the way ends TLS and presents a certificate of its own: a firewall "
        cause += f"that inspects TLS on {probe.source}'s side, as other clusters are let through"
        return cause, f"# let TCP {probe.port} from {probe.source} through uninspected", False
    if probe.certificates:
        cause = f"{target}'s load balancer ends TLS itself (layer 7, or a TLS listener), where it "
        cause += "must pass TCP through to the gateway"
        return cause, f"{layer_4}\n{service}", False
    if any(sign in said for sign in NO_TLS):
        cause = f"what answers at {target}'s address speaks no TLS: its load balancer has an HTTP "
        cause += "listener, or leads to another port"
        return cause, f"{layer_4}\n{service}", False
    if any(sign in said for sign in SILENT):
        cause = f"either {target}'s load balancer takes connections for which it has no healthy "
        cause += "backend, or its gateway does not answer, or packets of full size are lost on the "
        cause += "way (its MTU is smaller than both sides believe: VXLAN, IPsec, PPPoE)"
        return cause, f"{service}\n{_ping(probe)}", False
    cause = "the connection is closed: either no filter chain of the gateway matches this name and "
    cause += "protocol (its Gateway object), or the gateway has no endpoint to hand it on to"
    return cause, up(snapshot), False


def _ping(probe: TlsProbe) -> str:
    """Return the command that asks with packets of 1400 bytes, which nobody may take apart."""
    space, _, pod = probe.source_pod.partition("/")
    ping = f"-- ping -M do -c 3 -s 1372 {probe.host}"
    return kubectl(probe.source, f"-n {space} exec {pod} -c istio-proxy {ping}")


def _ends_at_target(shut: Shut) -> bool:
    """Tell whether nothing speaks for the asking side: it is not alone in what it meets."""
    return len(shut.clusters) > 1 or shut.clusters == (shut.pairs[0][1],)


ANALYZERS = (answered_by_another,)
