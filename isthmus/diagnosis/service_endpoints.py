"""What stands behind a Service in each cluster, by its EndpointSlices: who could answer."""

from typing import NamedTuple

from isthmus.diagnosis.fields import conditions, dig, mappings, seconds, texts
from isthmus.diagnosis.gateway_facts import whole
from isthmus.diagnosis.objects import find, labels_of, listed, was_listed
from isthmus.diagnosis.services import MeshService, ports, service_in
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object
from isthmus.step_results import join_host_port

SERVICE_LABEL = "kubernetes.io/service-name"
"""By which an EndpointSlice names its Service (k8s.io/api discovery/v1)."""
MESH_TLS = "security.istio.io/tlsMode"
"""The label of pods that take Istio's mutual TLS: other networks are sent to these alone (istio
pilot/pkg/xds/endpoints/ep_filters.go, isMtlsEnabled)."""


class Backend(NamedTuple):
    """One ready address behind a Service."""

    address: str
    port: int
    pod: Object | None
    ready_since: float | None
    """Seconds since the epoch, if its pod says so."""

    @property
    def text(self) -> str:
        """`ip:port`."""
        return join_host_port(self.address, self.port)

    @property
    def in_mesh(self) -> bool:
        """Whether its pod has a sidecar that takes mutual TLS."""
        return self.pod is not None and labels_of(self.pod).get(MESH_TLS) == "istio"


def slices(cluster: ClusterSnapshot, namespace: str, name: str) -> list[Object]:
    """Return a Service's EndpointSlices."""
    found = listed(cluster, "EndpointSlice", namespace)
    return [each for each in found if labels_of(each).get(SERVICE_LABEL) == name]


def tells_slices(cluster: ClusterSnapshot) -> bool:
    """Tell whether a cluster told its EndpointSlices: each has some, but for those before v1."""
    return bool(listed(cluster, "EndpointSlice"))


def backends(cluster: ClusterSnapshot, service: MeshService, port: int) -> list[Backend] | None:
    """Return who is ready behind one of a Service's ports; None if the cluster did not tell."""
    told = was_listed(cluster, "Service") and was_listed(cluster, "Pod")
    if not told or not tells_slices(cluster):
        return None
    own = [p for p in ports(service_in(cluster, service)) if whole(p.get("port")) == port]
    return [
        _backend(cluster, service, endpoint, address, number)
        for each in slices(cluster, service.namespace, service.name)
        for number in (_number(each, str(own[0].get("name") or "")) if own else [])
        for endpoint in mappings(each.get("endpoints"))
        if _is_ready(endpoint)
        for address in texts(endpoint.get("addresses"))
    ]


def _number(found: Object, name: str) -> list[int]:
    every = mappings(found.get("ports"))
    return [whole(port.get("port")) for port in every if str(port.get("name") or "") == name]


def _is_ready(endpoint: Object) -> bool:
    states = endpoint.get("conditions")
    return dig(states, "ready") is not False and not dig(states, "terminating")


def _backend(
    cluster: ClusterSnapshot, service: MeshService, endpoint: Object, address: str, port: int
) -> Backend:
    name = str(dig(endpoint, "targetRef", "name") or "")
    pod = find(cluster, "Pod", name, service.namespace) if name else None
    since = seconds(dig(conditions(pod or {}).get("Ready"), "lastTransitionTime"))
    return Backend(address, port, pod, since)


def service_of(name: str) -> tuple[MeshService, int] | None:
    """Return the Service and the port of an Envoy cluster without a subset, None for another.

    `outbound|5000||helloworld.sample.svc.cluster.local`, and as a gateway has it
    `outbound_.5000_._.helloworld.sample...` (istio pilot/pkg/model, BuildSubsetKey).
    """
    found = name.split("|") if "|" in name else name.split("_", 3)
    if len(found) != 4:
        return None
    _, port, subset, host = (part.strip(".") for part in found)
    own, space, kind, *_ = (*host.split("."), "", "", "")
    return (MeshService(space, own), whole(port)) if kind == "svc" and not subset else None
