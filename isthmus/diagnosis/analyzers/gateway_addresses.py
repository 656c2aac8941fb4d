"""The gateways' addresses as pods of other clusters reach them: does TCP come about at each."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import ip, shown, stack_of
from isthmus.diagnosis.snapshot import Snapshot, TlsProbe
from isthmus.diagnosis.ways import Probes, Shut, gateway_probes, grouped, is_good, retry, seen
from isthmus.environment.namespaces import ISTIO_NAMESPACE

REFUSED, TIMED_OUT, NO_ROUTE = "refused", "timed out", "no route"
SIGNS = {
    REFUSED: ("refused", "reset"),
    NO_ROUTE: ("no route", "unreachable"),
    TIMED_OUT: ("timed out", "timeout", "time out"),
}
"""What came back, by words in what the program said (curl, Linux errno)."""


@analyzer("F14", "A gateway's address does not answer from another cluster")
def unreachable(snapshot: Snapshot) -> Iterator[Failure]:
    """Find ways on which no TCP connection comes about, and whose side that is."""
    for shut in grouped(gateway_probes(snapshot), _is_shut):
        kinds = {_kind(probe) for probe in shut.probes}
        kind = kinds.pop() if len(kinds) == 1 else ""
        yield Failure(
            clusters=shut.clusters,
            object=shown(dict.fromkeys(probe.endpoint for probe in shut.probes)),
            evidence=(*map(seen, shut.probes), *_private(shut)),
            cause=_cause(shut, kind),
            fix=_fix(snapshot, shut, kind),
            certain=False,
        )


def _is_shut(probes: list[TlsProbe]) -> bool:
    """Tell whether no address takes a connection; a name without one is another failure."""
    tried = [probe for probe in probes if probe.error_at != "name"]
    return bool(tried) and not any(probe.connected for probe in tried)


def _kind(probe: TlsProbe) -> str:
    said = probe.error.lower()
    return next((kind for kind, signs in SIGNS.items() if any(s in said for s in signs)), "")


def _private(shut: Shut) -> list[str]:
    hosts = dict.fromkeys(probe.host for probe in shut.probes)
    private = [host for host in hosts if (found := ip(host)) and not found.is_global]
    return [f"no public address: {shown(private)}"] if private else []


def _cause(shut: Shut, kind: str) -> str:
    source, target = shut.pairs[0]
    ways = len(shut.pairs) > 1
    if ways and shut.clusters == (source,):
        return (
            f"{source}'s pods reach no other gateway, which is {source}'s own side: its egress "
            "firewall, NAT gateway, route table or network policy"
        )
    if shut.others_pass:
        return (
            f"others reach {target}, so it is what lies between: either {target}'s firewall does "
            f"not admit the addresses from which {source} comes, or {source}'s egress drops it"
        )
    if kind == REFUSED:
        return (
            f"{target}'s address is reached and nobody listens there: either its load balancer "
            "has no listener for the port or no healthy backend, or its gateway has no listener"
        )
    if kind == NO_ROUTE:
        return f"there is no route from {source} to {target}'s address: it is internal, or gone"
    return (
        f"packets get no answer: either a firewall or security group at {target} drops them, or "
        "its load balancer advertises an address that is internal or translated elsewhere"
    )


def _fix(snapshot: Snapshot, shut: Shut, kind: str) -> str:
    first = shut.probes[0]
    sources = shown(dict.fromkeys(source for source, _ in shut.pairs))
    targets = shown(dict.fromkeys(target for _, target in shut.pairs))
    name = stack_of(snapshot).gateway.name
    if kind == REFUSED and not shut.others_pass:
        look = f"-n {ISTIO_NAMESPACE} describe service {name}"
        return f"{kubectl(first.target, look)}\n{retry(first)}"
    where = f"# let TCP {first.port} through from {sources} to {targets}, then try again:"
    return f"{where}\n{retry(first)}"


@analyzer("F39", "One of several addresses of a gateway's load balancer is dead")
def one_address_dead(snapshot: Snapshot) -> Iterator[Failure]:
    """Find addresses that fail where another of the same gateway works: some requests fail."""
    tried = gateway_probes(snapshot)
    for (target, host), probes in _by_address(tried).items():
        dead = [p for p in probes if not is_good(p) and _working(tried, p)]
        if not dead:
            continue
        alive = [p for p in probes if is_good(p)]
        working = dict.fromkeys(p.endpoint for d in dead for p in _working(tried, d))
        cause = f"either nothing stands behind {host} at {target}'s load balancer, or a firewall "
        cause += "drops what goes there; proxies use every address, so a part of requests fails"
        if alive:
            cause = f"{host} is reached from {shown(dict.fromkeys(p.source for p in alive))}, so "
            cause += "it is what lies between: a firewall or a route for this address alone"
        yield Failure(
            clusters=(target,),
            object=f"Service {ISTIO_NAMESPACE}/{stack_of(snapshot).gateway.name} {host}",
            evidence=(*map(seen, dead), f"works: {shown(working)}"),
            cause=cause,
            fix=_describe(snapshot, target, dead[0]),
            certain=False,
        )


def _by_address(tried: Probes) -> dict[tuple[str, str], list[TlsProbe]]:
    found: dict[tuple[str, str], list[TlsProbe]] = {}
    for probes in tried.values():
        for probe in probes:
            found.setdefault((probe.target, probe.host), []).append(probe)
    return found


def _working(tried: Probes, dead: TlsProbe) -> list[TlsProbe]:
    """Return the ways from the same cluster to the same gateway by other addresses that work."""
    return [p for p in tried[dead.source, dead.target] if is_good(p) and p.host != dead.host]


def _describe(snapshot: Snapshot, target: str, dead: TlsProbe) -> str:
    name = stack_of(snapshot).gateway.name
    look = kubectl(target, f"-n {ISTIO_NAMESPACE} describe service {name}")
    note = f"# give {dead.host} a healthy backend, or take it from the load balancer; then:"
    return f"{look}\n{note}\n{retry(dead)}"


ANALYZERS = (unreachable, one_address_dead)
