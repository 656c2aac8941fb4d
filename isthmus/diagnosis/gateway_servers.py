"""What gateways are told to serve: the servers of Gateway objects, as istiod merges them.

istiod reads Gateways and VirtualServices in the host alone, for the gateways of all clusters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import created, dig, mappings, pairs, texts
from isthmus.diagnosis.gateway_facts import gateway_pods, stack_of, whole
from isthmus.diagnosis.istio_rules import host_matches, rules
from isthmus.diagnosis.objects import find, labels_of, name_of, namespace_of
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

PLAIN = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL"})
"""Protocols of a server that takes no TLS (istio pkg/config/gateway, IsTLSServer)."""


@dataclass(frozen=True, eq=False)
class Server:
    """One server of a Gateway object."""

    gateway: Object
    number: int
    """Its position in the object."""
    port: int
    protocol: str
    mode: str
    """Of its `tls`; empty without one."""
    hosts: tuple[str, ...]
    """Without the namespaces that may stand before them."""

    @property
    def name(self) -> str:
        """`Gateway istio-system/cross-network-gateway`, as messages name it."""
        return f"Gateway {namespace_of(self.gateway)}/{name_of(self.gateway)}"

    @property
    def age(self) -> tuple[float, str, str, int]:
        """By what istiod orders Gateways: the oldest has its ports (mergeGateways)."""
        own = self.gateway
        return created(own), name_of(own), namespace_of(own), self.number

    @property
    def selector(self) -> dict[str, str]:
        """The labels of the pods that it is for; without any it is for all."""
        return pairs(dig(self.gateway, "spec", "selector"))

    def is_for(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it is for pods with these labels."""
        return self.selector.items() <= labels.items()

    def covers(self, host: str) -> bool:
        """Tell whether one of its hosts, which may begin with `*`, means this one."""
        return any(host_matches(own, host) for own in self.hosts)


def servers(snapshot: Snapshot) -> list[Server]:
    """Return every server that istiod knows, the oldest first."""
    found = [
        Server(
            gateway,
            number,
            whole(dig(server, "port", "number")),
            str(dig(server, "port", "protocol") or "").upper(),
            str(dig(server, "tls", "mode") or "") or ("SIMPLE" if "tls" in server else ""),
            tuple(host.rpartition("/")[2] for host in texts(server.get("hosts"))),
        )
        for gateway in rules(snapshot, "Gateway")
        if str(gateway.get("apiVersion", "")).startswith("networking.istio.io/")
        for number, server in enumerate(mappings(dig(gateway, "spec", "servers")))
    ]
    return sorted(found, key=lambda server: server.age)


def gateway_labels(snapshot: Snapshot, cluster: ClusterSnapshot) -> dict[str, str]:
    """Return the labels of a cluster's gateway pods, or those they would get; empty if unknown."""
    found = gateway_pods(snapshot, cluster)
    if found:
        return labels_of(next(iter(pods.ready(found)), found[0]))
    name = stack_of(snapshot).gateway.name
    deployment = find(cluster, "Deployment", name, ISTIO_NAMESPACE)
    return pods.template_labels(deployment) if deployment else {}


def shadowing(server: Server, known: list[Server], labels: Mapping[str, str]) -> Server | None:
    """Return the older server of another Gateway that keeps this one from being served.

    Source: istio pilot/pkg/model/gateway.go, mergeGateways: on one port, of a server in plain text
    and one with TLS, or of two with TLS and an equal host, the later one is skipped.
    """
    for other in known:
        same = other.gateway is server.gateway or other.port != server.port
        if same or other.age > server.age or not other.is_for(labels):
            continue
        plain = not other.mode and other.protocol in PLAIN
        if plain or (other.mode and set(other.hosts) & set(server.hosts)):
            return other
    return None
