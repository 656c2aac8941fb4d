"""Names: a Service that callers cannot look up, though others can, or though it is there."""

import re
from collections.abc import Iterator

from isthmus.diagnosis.analyzers import cluster_dns
from isthmus.diagnosis.fields import created
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import find, was_listed
from isthmus.diagnosis.services import (
    SAMPLE,
    MeshService,
    make,
    reachable,
    service_in,
    services,
    up,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, NameLookup, Object, Snapshot

NO_NAME = re.compile(r"not resolve|NXDOMAIN|not known|no such host|no address|not find", re.I)
"""What is said where the answer was that there is no such name."""
NEGATIVE_CACHE = 60.0
"""Seconds in which an NXDOMAIN may still be cached: CoreDNS and NodeLocal DNSCache keep one for up
to 30 (coredns.io/plugins/cache), one behind the other."""
TOO_EARLY = "the name was looked up before the Service was there, and its NXDOMAIN is still cached"
ANOTHER_RESOLVER = (
    "either the cluster's DNS does not see the API server's Services (its permissions, its watch), "
    "or the pod's resolver is another one (dnsPolicy, dnsConfig, a cache on the node)"
)


@analyzer("F26", "A Service or its namespace is missing where it is called: NXDOMAIN")
def name_missing(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters without the Service, or the namespace, of a service that others have."""
    for service in services(snapshot):
        having = [c for c in reachable(snapshot) if service_in(c, service)]
        for cluster in reachable(snapshot):
            what = _missing(cluster, service)
            if what and (having or service == SAMPLE):
                yield _absent(snapshot, cluster, service, what, having)


def _missing(cluster: ClusterSnapshot, service: MeshService) -> str:
    if was_listed(cluster, "Namespace") and not find(cluster, "Namespace", service.namespace):
        return f"Namespace {service.namespace}"
    if was_listed(cluster, "Service") and not service_in(cluster, service):
        return service.text
    return ""


def _absent(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    service: MeshService,
    what: str,
    having: list[ClusterSnapshot],
) -> Failure:
    names = ", ".join(c.name for c in having) or "no cluster"
    return Failure(
        (cluster.name,),
        (f"{cluster.name}: there is no {what}; it is in {names}", *_failed(cluster, service)),
        f"a name is looked up in the caller's own cluster, and {service.text} is not there; "
        "without it the cluster's pods are no endpoints of it either",
        up(snapshot) if service == SAMPLE else _copy(cluster, service, what, having),
        object=what,
        severity="error" if service == SAMPLE else "warning",
    )


def _failed(cluster: ClusterSnapshot, service: MeshService) -> list[str]:
    return [f"{told.name}: {told.error}" for told in _lookups(cluster, service) if told.error]


def _copy(
    cluster: ClusterSnapshot, service: MeshService, what: str, having: list[ClusterSnapshot]
) -> str:
    """Return the commands that make a Service as another cluster has it."""
    made = make(cluster, service, service_in(having[0], service) or {})
    space = kubectl(cluster.name, f"create namespace {service.namespace}")
    return f"{space}\n{made}" if what.startswith("Namespace") else made


def _lookups(cluster: ClusterSnapshot, service: MeshService) -> list[NameLookup]:
    names = (service.host, f"{service.name}.{service.namespace}", service.host.rsplit(".", 2)[0])
    return [told for told in cluster.lookups if told.name.rstrip(".") in names]


@analyzer("F37", "A pod's resolver does not know a Service that exists")
def unknown_to_resolver(snapshot: Snapshot) -> Iterator[Failure]:
    """Find names that a pod is told not to exist while the Service does: a cached NXDOMAIN."""
    for cluster in reachable(snapshot):
        for service in services(snapshot):
            found = service_in(cluster, service)
            asked = [t for t in _lookups(cluster, service) if _is_unknown(t)]
            if found and asked and not cluster_dns.trouble(cluster):
                yield _cached(snapshot, cluster, service, found, asked)


def _is_unknown(told: NameLookup) -> bool:
    said = cluster_dns.said(told)
    return (
        told.resolver != "dns"
        and bool(NO_NAME.search(said))
        and not cluster_dns.NO_ANSWER.search(said)
    )


def _cached(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    service: MeshService,
    found: Object,
    asked: list[NameLookup],
) -> Failure:
    age = snapshot.taken_at - created(found)
    told = [t for t in _lookups(cluster, service) if t.resolver == "dns"]
    known = [f"{t.name}: the cluster's DNS says {', '.join(t.addresses) or t.error}" for t in told]
    fresh = age < NEGATIVE_CACHE
    waits = f"sleep 30; isthmus verify {snapshot.environment.get('name', '')}"
    return Failure(
        (cluster.name,),
        (
            *(f"{t.name} from a pod: {t.error}" for t in asked),
            f"{service.text} was created {age:.0f} s before",
            *known,
        ),
        TOO_EARLY if fresh else ANOTHER_RESOLVER,
        waits if fresh else cluster_dns.restart(snapshot, cluster),
        object=service.text,
        certain=fresh and any(t.addresses for t in told),
    )


ANALYZERS = (name_missing, unknown_to_resolver)
