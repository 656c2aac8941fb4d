"""The istiod remote endpoint: the Service by which a remote's pods reach the control plane."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import dig, mappings, texts
from isthmus.diagnosis.finding import Failure, analyzer
from isthmus.diagnosis.gateway_facts import entries, ip, resolved, shown, stack_of, whole
from isthmus.diagnosis.istiod_exposure import other_endpoint, ports
from isthmus.diagnosis.objects import find, full_name, listed, name_of, namespace_of, was_listed
from isthmus.diagnosis.service_endpoints import slices, tells_slices
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot, TlsProbe
from isthmus.diagnosis.trust import describe
from isthmus.diagnosis.ways import is_good, retry, seen
from isthmus.environment.namespaces import ISTIO_NAMESPACE, ISTIOD_SAN

XDS_PORT = 15012


@analyzer("F11", "A remote's Service for istiod does not lead to the control plane")
def leads_elsewhere(snapshot: Snapshot) -> Iterator[Failure]:
    """Find remotes whose Service, EndpointSlice or way to the host's gateway is wrong."""
    tried = _probes(snapshot)
    for remote in snapshot.remotes:
        probes = tried.get(remote.name, [])
        if wrong := _wrong_objects(snapshot, remote, probes):
            name, faults = wrong
            yield Failure(
                clusters=(remote.name,),
                object=name,
                evidence=(*(f"{remote.name}: {f}" for f in faults), *map(seen, probes)),
                cause=f"pods of {remote.name} do not reach the host's istiod by the Service that "
                "they ask: no configuration, no certificates, no injection",
                fix=up(snapshot),
            )
        elif failed := [p for p in probes if not is_good(p) or not _is_istiod(p)]:
            yield _shut(snapshot, remote, failed)


def _probes(snapshot: Snapshot) -> dict[str, list[TlsProbe]]:
    """Return the ways to the host's istiod that were tried, by the cluster that asked."""
    # By that name a remote with an istiod of its own asks that one.
    other = ISTIOD_SAN if stack_of(snapshot).istiod_in_remotes else None
    found: dict[str, list[TlsProbe]] = {}
    for probe in snapshot.probes:
        if probe.purpose == "istiod" and not probe.skipped and probe.host != other:
            found.setdefault(probe.source, []).append(probe)
    return found


def _is_istiod(probe: TlsProbe) -> bool:
    """Tell whether the certificate is istiod's, as far as one was shown."""
    names = probe.certificates[0].sans if probe.certificates else ("istiod",)
    return any(name.startswith("istiod") for name in names)


def _shut(snapshot: Snapshot, remote: ClusterSnapshot, failed: list[TlsProbe]) -> Failure:
    probe, host = failed[0], snapshot.host.name
    evidence = [*map(seen, failed)]
    if is_good(probe):
        evidence.append(f"it presents {describe(probe.certificates[0])}")
        cause = (
            f"something else than istiod answers at {probe.endpoint}: a load balancer that ends "
        )
        cause += "TLS, or another Service"
    elif probe.error_at == "tls":
        cause = f"a connection comes about, and TLS does not: either {host}'s gateway passes port "
        cause += f"{XDS_PORT} on to no istiod, or a load balancer has no backend for that port"
    elif probe.error_at == "name":
        cause = f"the DNS of {remote.name} does not know {probe.host}"
    else:
        cause = f"either a firewall between {remote.name} and {host}'s load balancer drops port "
        cause += f"{XDS_PORT}, or its listener for that port, or the gateway behind it, is missing"
    return Failure(
        clusters=(remote.name, host),
        object=probe.endpoint,
        evidence=tuple(evidence),
        cause=cause,
        fix=f"# let TCP {XDS_PORT} and 15017 through to {host}'s gateway, then try again:\n"
        f"{retry(probe)}",
        certain=False,
    )


def _wrong_objects(
    snapshot: Snapshot, remote: ClusterSnapshot, probes: list[TlsProbe]
) -> tuple[str, list[str]] | None:
    """Return which object of a remote is wrong, and how; None if all are right or unknown."""
    if not was_listed(remote, "Service") or not tells_slices(remote):
        return None
    # What leads to istiod by another way than the gateway's address leads to istiod.
    answered = bool(probes) and all(is_good(p) and _is_istiod(p) for p in probes)
    service = _service(snapshot, remote)
    name = "istiod-remote" if stack_of(snapshot).istiod_in_remotes else "istiod"
    if service is None:
        return f"Service {ISTIO_NAMESPACE}/{name}", ["there is no such Service"]
    if dig(service, "spec", "type") == "ExternalName":
        target = str(dig(service, "spec", "externalName") or "")
        faults = [] if answered else _foreign(snapshot, {target})
    else:
        faults = _slice_faults(snapshot, remote, service, answered)
    return (full_name(service), faults) if faults else None


def _service(snapshot: Snapshot, remote: ClusterSnapshot) -> Object | None:
    """Return the Service without a selector by which a remote's pods ask for the host's istiod."""
    if stack_of(snapshot).istiod_in_remotes:
        return find(remote, "Service", "istiod-remote", ISTIO_NAMESPACE)
    found = [
        service
        for service in listed(remote, "Service", ISTIO_NAMESPACE)
        if name_of(service).partition("-")[0] == "istiod" and not dig(service, "spec", "selector")
    ]
    return next((s for s in found if name_of(s) == "istiod"), next(iter(found), None))


def _slice_faults(
    snapshot: Snapshot, remote: ClusterSnapshot, service: Object, answered: bool
) -> list[str]:
    found = slices(remote, namespace_of(service), name_of(service))
    addresses = {
        address
        for each in found
        for endpoint in mappings(each.get("endpoints"))
        if dig(endpoint, "conditions", "ready") is not False
        for address in texts(endpoint.get("addresses"))
    }
    if not addresses:
        old = find(remote, "Endpoints", name_of(service), namespace_of(service))
        has = " (its Endpoints are not mirrored)" if dig(old, "subsets") else ""
        return [f"{full_name(service)} has no ready address in any EndpointSlice{has}"]
    names = sorted(address for address in addresses if not ip(address))
    if names:
        return [f"its EndpointSlice holds {shown(names)}, which is no IP address"]
    foreign = [] if answered else _foreign(snapshot, addresses)
    return [*foreign, *_port_faults(snapshot, service, found)]


def _foreign(snapshot: Snapshot, addresses: set[str]) -> list[str]:
    """Return how addresses differ from the host's gateway's, as far as those are known."""
    named = {other_endpoint(snapshot) or a for a, _ in entries(snapshot, snapshot.host)} - {""}
    looked_up = {name: resolved(snapshot, name) for name in named | addresses if not ip(name)}
    known = named.union(*(looked_up[n] for n in named if n in looked_up))
    meant = addresses.union(*(looked_up[n] for n in addresses if n in looked_up))
    unsure = any(not found for found in looked_up.values()) or not named
    if meant & known or unsure:
        return []
    return [
        f"it leads to {shown(sorted(addresses))}; the host's gateway is at {shown(sorted(known))}"
    ]


def _port_faults(snapshot: Snapshot, service: Object, found: list[Object]) -> list[str]:
    """Return which of istiod's ports lead nowhere: slices and Services agree by ports' names."""
    offered = {
        (str(port.get("name") or ""), whole(port.get("port")))
        for each in found
        for port in mappings(each.get("ports"))
    }
    named = {str(p.get("name") or "") for p in mappings(dig(service, "spec", "ports"))}
    reached = {number for name, number in offered if name in named}
    if lacking := [port for port in ports(snapshot) if port not in reached]:
        has = shown(f"{name or 'unnamed'} {number}" for name, number in sorted(offered)) or "none"
        return [
            f"its EndpointSlices have the ports {has}, and none by a name of the Service's leads "
            f"to {shown(map(str, lacking))}"
        ]
    return []


ANALYZERS = (leads_elsewhere,)
