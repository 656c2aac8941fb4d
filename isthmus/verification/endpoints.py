"""The endpoint table of a proxy: read it, say what it should be, find the differences."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isthmus.errors import NotReady
from isthmus.step_results import join_host_port
from isthmus.verification import endpoint_findings as reasons
from isthmus.verification.evidence import (
    COUNTS,
    Addresses,
    Finding,
    ObservedEndpoint,
    ReportedState,
    clusters_in_network,
    gateways_of_network,
)

SAMPLE_PORT = 5000
"""Where helloworld listens. Source: Istio samples/helloworld/helloworld.yaml."""

OUTBOUND_PREFIX = "outbound"
"""How the names of Envoy clusters begin that lead to Services (istio pilot/pkg/model)."""


def parse_clusters(text: str, cluster_name: str) -> list[ObservedEndpoint]:
    """Return the endpoints of one Envoy cluster, none if the proxy does not know that cluster.

    Reads Envoy's `/clusters?format=json` and the array that `istioctl proxy-config endpoints
    -o json` makes of it. Raises NotReady if the text is neither.
    """
    return [
        _endpoint(host)
        for cluster in _clusters(text)
        if cluster.get("name") == cluster_name
        for host in _value(cluster, "host_statuses", [])
    ]


def has_endpoint(text: str, address: str) -> bool:
    """Tell whether a proxy has this address as an endpoint of anything; the text as above."""
    hosts = (h for c in _clusters(text) for h in _value(c, "host_statuses", []))
    return any(_endpoint(host).address == address for host in hosts)


def count_active_connections(text: str) -> int:
    """Return how many connections a proxy has open to endpoints of the mesh; the text as above."""
    found = [c for c in _clusters(text) if str(c.get("name")).startswith(OUTBOUND_PREFIX)]
    stats = [s for c in found for h in _value(c, "host_statuses", []) for s in h.get("stats", [])]
    return sum(int(_value(s, "value", 0)) for s in stats if s.get("name") == "cx_active")


def expected_endpoints(
    client: str,
    pods: Addresses,
    gateways: Addresses,
    networks: Mapping[str, str],
    port: int = SAMPLE_PORT,
) -> set[str]:
    """Return what a sidecar in `client` must list: its network's pods, and the others' gateways.

    Source: istiod's split horizon, pilot/pkg/xds/ep_filters.go; networks without pods are left out.
    """
    home = clusters_in_network(networks[client], networks)
    local = {join_host_port(ip, port) for cluster in home for ip in pods.get(cluster, ())}
    return local.union(
        *(gateways_of_network(n, gateways, networks) for n in _others(client, pods, networks))
    )


def evaluate_endpoints(
    client: str, seen: list[ObservedEndpoint], reported: ReportedState, port: int = SAMPLE_PORT
) -> list[Finding]:
    """Return a reason for everything that the table lacks, or has and should not; none if equal."""
    texts = {endpoint.text for endpoint in seen}
    expected = expected_endpoints(
        client, reported.addresses, reported.gateways, reported.networks, port
    )
    return [
        *_missing_pods(client, texts, reported, port),
        *_missing_networks(client, texts, reported),
        *_unexpected(client, [e for e in seen if e.text not in expected], reported),
        *_unhealthy(client, [e for e in seen if e.text in expected], reported),
    ]


def evaluate_gateway(
    cluster: str, seen: Mapping[str, Sequence[ObservedEndpoint]], reported: ReportedState
) -> list[Finding]:
    """Return a reason for each pod of a gateway that is not as its like, or sends requests back.

    `seen` is, of each Ready pod, its own table for the sample as other networks ask for it
    (`answers.GATEWAY_CLUSTER`). This finds failure F32 for certain, which 100 requests cannot.
    """
    if not seen:
        return [reasons.gateway_down(cluster)]
    others = {n for n in reported.networks.values() if n != reported.networks[cluster]}
    foreign = {
        w for n in others for w in gateways_of_network(n, reported.gateways, reported.networks)
    }
    tables = {pod: {endpoint.text for endpoint in table} for pod, table in seen.items()}
    back = {pod: sorted(foreign & texts) for pod, texts in tables.items()}
    lacking = {pod: sorted(set().union(*tables.values()) - foreign - tables[pod]) for pod in seen}
    return [
        *(
            reasons.sends_back(cluster, pod, ways, reported.networks[cluster])
            for pod, ways in back.items()
            if ways
        ),
        *(reasons.gateway_behind(cluster, pod, lacks) for pod, lacks in lacking.items() if lacks),
    ]


def _missing_pods(
    client: str, texts: set[str], reported: ReportedState, port: int
) -> Iterable[Finding]:
    for cluster in clusters_in_network(reported.networks[client], reported.networks):
        wanted = {join_host_port(ip, port) for ip in reported.addresses[cluster]}
        if missing := sorted(wanted - texts):
            yield reasons.pods_missing(client, cluster, missing)


def _missing_networks(client: str, texts: set[str], reported: ReportedState) -> Iterable[Finding]:
    for network in _others(client, reported.addresses, reported.networks):
        clusters = clusters_in_network(network, reported.networks)
        ways = gateways_of_network(network, reported.gateways, reported.networks)
        if not ways:
            yield reasons.no_gateway(client, network, clusters)
        elif missing := sorted(set(ways) - texts):
            yield reasons.gateway_missing(client, network, clusters, missing, reported.host)


def _unexpected(
    client: str, surplus: list[ObservedEndpoint], reported: ReportedState
) -> Iterable[Finding]:
    home = reported.networks[client]
    # Regions may use the same pod addresses: what the own network has too proves nothing foreign.
    local = {
        ip for c in clusters_in_network(home, reported.networks) for ip in reported.addresses[c]
    }
    owners = {ip: c for c, ips in reported.addresses.items() for ip in ips if ip not in local}
    for endpoint in surplus:
        if owner := owners.get(endpoint.address):
            yield reasons.foreign_pod(client, owner, endpoint.text)
        else:
            yield reasons.unexpected(client, endpoint.text, reported.host)


def _unhealthy(
    client: str, wanted: list[ObservedEndpoint], reported: ReportedState
) -> Iterable[Finding]:
    owners = {way: cluster for cluster, ways in reported.gateways.items() for way in ways}
    for endpoint in wanted:
        if not endpoint.is_routable:
            owner = owners.get(endpoint.text, client)
            yield reasons.unhealthy(client, owner, endpoint.text, endpoint.health)


def _others(client: str, pods: Addresses, networks: Mapping[str, str]) -> list[str]:
    """Return the networks other than the client's that have pods."""
    populated = [networks[cluster] for cluster in networks if pods.get(cluster)]
    return [n for n in dict.fromkeys(populated) if n != networks[client]]


def _clusters(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
        found = document if isinstance(document, list) else _value(document, "cluster_statuses", [])
        return [cluster for cluster in found if isinstance(cluster, dict)]
    except (json.JSONDecodeError, AttributeError, TypeError):
        raise NotReady(
            f"the sidecar's admin port gave no endpoint table but {text[:80]!r}",
            step="read endpoints",
            hint="the caller's proxy may still be starting: run the same command again",
        ) from None


def _endpoint(host: dict[str, Any]) -> ObservedEndpoint:
    # What has no socket address (an internal listener) must show up as unexpected, not vanish.
    socket = _value(host.get("address", {}), "socket_address", {})
    return ObservedEndpoint(
        address=socket.get("address", "internal"),
        port=_value(socket, "port_value", 0),
        weight=host.get("weight", 1),
        health=_health(_value(host, "health_status", {})),
        priority=host.get("priority", 0),
        **_counts(_value(host, "stats", [])),
    )


def _counts(stats: list[dict[str, Any]]) -> dict[str, Any]:
    found = {stat.get("name"): int(_value(stat, "value", 0)) for stat in stats}
    counts = {name: found.get(theirs, 0) for name, theirs in COUNTS.items()}
    return {"counted": "rq_total" in found, **counts}


def _health(status: dict[str, Any]) -> str:
    if _value(status, "failed_outlier_check", False):
        return "EJECTED"
    return str(_value(status, "eds_health_status", "UNKNOWN"))


def _value(mapping: dict[str, Any], key: str, default: Any) -> Any:
    """Look up a snake_case key as Envoy writes it, or its camelCase form as istioctl does."""
    head, *rest = key.split("_")
    return mapping.get(key, mapping.get(head + "".join(map(str.title, rest)), default))
