"""What a replica of istiod lacks of a cluster, next to what the cluster itself lists."""

from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis.fields import conditions, dig, mappings, number, seconds, selects, texts
from isthmus.diagnosis.gateway_facts import plain
from isthmus.diagnosis.objects import (
    find,
    is_ending,
    labelled,
    labels_of,
    listed,
    was_listed,
)
from isthmus.diagnosis.replicas import Replica
from isthmus.diagnosis.services import MeshService, service_in
from isthmus.diagnosis.snapshot import (
    ClusterSnapshot,
    IstiodSnapshot,
    Object,
    RemoteSecretFacts,
    Snapshot,
)
from isthmus.diagnosis.wiring import SYNCED, is_read, secrets_of

SETTLED = 60.0
"""Seconds after which istiod has taken up what changed: the limit for a remote's caches is 30
(PILOT_REMOTE_CLUSTER_TIMEOUT), and a snapshot asks its questions one after the other."""
NETWORK_LABEL = "topology.istio.io/network"
PORT_LABEL = "networking.istio.io/gatewayPort"
GATEWAY_PORT, HBONE_PORT = 15443.0, 15008.0
SERVICE_LABEL = "kubernetes.io/service-name"


class Member(NamedTuple):
    """A cluster as istiod knows it: by its ID, and by the remote secret that it is read by."""

    cluster: ClusterSnapshot
    key: str
    secret: RemoteSecretFacts | None = None

    def is_settled(self, istiod: IstiodSnapshot, now: float) -> bool:
        """Tell whether a replica has had the time to read the cluster."""
        begins = (istiod.started_at, self.secret.written_at if self.secret else None)
        return all(begin is None or now - begin > SETTLED for begin in begins)

    def changed_after_start(self, istiod: IstiodSnapshot) -> bool:
        """Tell whether the remote secret was written after a replica had started."""
        written = self.secret.written_at if self.secret else None
        return bool(written and istiod.started_at and written > istiod.started_at)


def members(snapshot: Snapshot, istiod: IstiodSnapshot) -> Iterator[Member]:
    """Yield the clusters that a replica of the host ought to know."""
    host, led = snapshot.host, secrets_of(snapshot)
    yield Member(host, istiod.env.get("CLUSTER_ID") or host.name)
    for remote in snapshot.remotes:
        if read := [secret for secret in led.get(remote.name, ()) if is_read(secret)]:
            yield Member(remote, read[0].key, read[0])


def gap(snapshot: Snapshot, replica: Replica, member: Member) -> list[str]:
    """Return what a replica lacks of a cluster, a line each; nothing if it lacks nothing."""
    return [
        *_unsynced(replica, member),
        *_missing_endpoints(snapshot, replica, member),
        *_missing_gateways(replica, member),
    ]


def _unsynced(replica: Replica, member: Member) -> Iterator[str]:
    istiod = replica.istiod
    if istiod.clusters is None:
        return
    found = replica.clusters.get(member.key)
    if found is None:
        yield f"/debug/clusterz of {istiod.pod} has no cluster {member.key}"
    elif found.get("syncStatus") != SYNCED:
        yield f"/debug/clusterz of {istiod.pod}: {member.key} is {found.get('syncStatus')}"


def _missing_endpoints(snapshot: Snapshot, replica: Replica, member: Member) -> Iterator[str]:
    istiod = replica.istiod
    if istiod.endpoint_shards is None:
        return
    for service, shards in replica.shards.items():
        if not _is_discovered(istiod, member.cluster, service):
            continue
        known = shards.get(member.key, set())
        ready = ready_addresses(member.cluster, service, snapshot.taken_at)
        if missing := [address for address in ready if address not in known]:
            yield (
                f"/debug/endpointShardz of {istiod.pod} lacks {', '.join(missing)} of "
                f"{service.host}, which EndpointSlices of {member.cluster.name} list as ready"
            )


def _is_discovered(istiod: IstiodSnapshot, cluster: ClusterSnapshot, service: MeshService) -> bool:
    """Tell whether istiod looks at a Service's namespace, and the Service is there."""
    if was_listed(cluster, "Service") and service_in(cluster, service) is None:
        return False
    selectors = mappings(dig(istiod.mesh, "discoverySelectors"))
    space = find(cluster, "Namespace", service.namespace)
    if not selectors or space is None:
        return not selectors
    return any(selects(selector, labels_of(space)) for selector in selectors)


def ready_addresses(cluster: ClusterSnapshot, service: MeshService, now: float) -> list[str]:
    """Return the ready endpoints of a Service that have been ready for a while."""
    labels = {SERVICE_LABEL: service.name}
    found: dict[str, None] = {}
    for each in labelled(cluster, "EndpointSlice", labels, service.namespace):
        for endpoint in mappings(each.get("endpoints")):
            if _is_steady(cluster, endpoint, now) and each.get("addressType") != "FQDN":
                found |= dict.fromkeys(texts(endpoint.get("addresses"))[:1])
    return list(found)


def _is_steady(cluster: ClusterSnapshot, endpoint: Object, now: float) -> bool:
    """Tell whether an endpoint is ready, and its pod not for less than istiod may take."""
    if dig(endpoint, "conditions", "ready") is False:
        return False
    target = str(dig(endpoint, "targetRef", "name") or "")
    space = str(dig(endpoint, "targetRef", "namespace") or "")
    pod = find(cluster, "Pod", target, space) if target else None
    if pod is None:
        return not target or not was_listed(cluster, "Pod")
    turned = conditions(pod).get("Ready", {}).get("lastTransitionTime")
    since = seconds(turned) or seconds(dig(pod, "status", "startTime")) or 0.0
    return not is_ending(pod) and now - since > SETTLED


def _missing_gateways(replica: Replica, member: Member) -> Iterator[str]:
    """Yield the labelled gateways whose addresses /debug/networkz lacks.

    Source: istio pilot/pkg/serviceregistry/kube/controller/network.go, getGatewayDetails.
    """
    if replica.istiod.networks is None:
        return
    for service in listed(member.cluster, "Service"):
        if not labels_of(service).get(NETWORK_LABEL) or not _listens(service):
            continue
        ingress = mappings(dig(service, "status", "loadBalancer", "ingress"))
        wanted = [str(entry["ip"]) for entry in ingress if entry.get("ip")]
        for address in wanted:
            if plain(address) not in replica.gateways:
                yield f"/debug/networkz of {replica.istiod.pod} has no gateway {address}"


def _listens(service: Object) -> bool:
    """Tell whether a Service has the port for which istiod takes it for a gateway."""
    wanted = {number(labels_of(service).get(PORT_LABEL)) or GATEWAY_PORT, HBONE_PORT}
    return any(
        number(port.get("port")) in wanted for port in mappings(dig(service, "spec", "ports"))
    )
