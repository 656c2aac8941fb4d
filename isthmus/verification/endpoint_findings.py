"""The reasons that an endpoint table gives, a function for each way in which it can be wrong."""

from collections.abc import Sequence

from isthmus.verification.evidence import Finding
from isthmus.verification.finding_text import (
    caller_log,
    gateway_pods,
    gateway_view,
    kubectl,
    listed,
    make_finding,
    routing_rules,
    sample_pods,
)


def pods_missing(client: str, cluster: str, missing: Sequence[str]) -> Finding:
    """A pod of the client's own network is not in its endpoint table."""
    return make_finding(
        "pod missing",
        cluster,
        f"{client}: the caller's sidecar does not list {listed(missing)}, which {cluster} reports "
        "as a ready pod",
        f"istiod cannot read {cluster}, a rule hides the pod (Sidecar, ServiceEntry, the Service's "
        "ports), or the sidecar receives no xDS updates from istiod",
        caller_log(client),
    )


def no_gateway(client: str, network: str, clusters: Sequence[str]) -> Finding:
    """A network with pods reports no gateway address at all."""
    return make_finding(
        "no gateway",
        clusters[0],
        f"{client}: {network} ({listed(clusters)}) has pods but no gateway address, where at least "
        "one was expected",
        "the gateway's Service is not of type LoadBalancer, or no address has been given to it yet",
        gateway_pods(clusters[0]),
    )


def gateway_missing(
    client: str, network: str, clusters: Sequence[str], missing: Sequence[str], host: str
) -> Finding:
    """A gateway of another network is not in the client's endpoint table."""
    return make_finding(
        "gateway missing",
        clusters[0],
        f"{client}: the caller's sidecar lists no endpoint {listed(missing)}, where the gateway of "
        f"{network} ({listed(clusters)}) is",
        f"the host's istiod cannot read {clusters[0]} (look at its remote secret and at istiod's "
        "log) or knows another gateway address, or a rule hides the way (Sidecar, "
        "PeerAuthentication, the Service's ports)",
        kubectl(host, "-n istio-system get secrets -l istio/multiCluster=true"),
    )


def foreign_pod(client: str, owner: str, address: str) -> Finding:
    """The table holds a pod address of a network that can only be reached by its gateway."""
    return make_finding(
        "foreign pod",
        owner,
        f"{client}: the caller's sidecar lists {address}, a foreign pod address: it is of {owner}, "
        "in another network, and cannot be reached; that network's gateway was expected",
        f"istiod knows no gateway of {owner}'s network, or takes the pod for one of {client}'s",
        gateway_pods(owner),
    )


def unexpected(client: str, address: str, host: str) -> Finding:
    """The table holds an address that no cluster reports."""
    return make_finding(
        "unexpected endpoint",
        client,
        f"{client}: the caller's sidecar lists {address}, which is neither a ready pod of its own "
        "network nor a gateway of another",
        "a pod or gateway that is gone, or a gateway on another port than its Service has",
        kubectl(host, "-n istio-system logs deployment/istiod --tail=50"),
    )


def unhealthy(client: str, owner: str, address: str, health: str) -> Finding:
    """The table holds the right address in a state that takes no requests."""
    return make_finding(
        "unhealthy endpoint",
        owner,
        f"{client}: the caller's sidecar lists {address} of {owner} as {health}, where HEALTHY was "
        "expected",
        "the pod is going away, or outlier detection ejected it after errors",
        sample_pods(owner),
    )


def sends_back(cluster: str, pod: str, gateways: Sequence[str], network: str) -> Finding:
    """A gateway's own table leads into other networks (failure F32)."""
    return make_finding(
        "sends back",
        cluster,
        f"{cluster}: its gateway (pod {pod}) lists {listed(gateways)} of another network, where "
        "only its own pods were expected, so requests that reached the right region are sent back",
        f"ISTIO_META_REQUESTED_NETWORK_VIEW={network} is not set on the gateway",
        gateway_view(cluster),
    )


def gateway_behind(cluster: str, pod: str, missing: Sequence[str]) -> Finding:
    """One pod of a gateway does not know what another one knows."""
    return make_finding(
        "gateway behind",
        cluster,
        f"{cluster}: its gateway's pod {pod} does not list {listed(missing)}, which another pod of "
        "the same gateway lists",
        "it receives no xDS updates from istiod",
        kubectl(cluster, f"-n istio-system logs {pod} --tail=50"),
    )


def gateway_down(cluster: str) -> Finding:
    """A cluster's gateway has nothing behind it (failure F33)."""
    return make_finding(
        "gateway down",
        cluster,
        f"{cluster}: its gateway has no ready pod, so no request from another region can enter",
        "it is scaled to 0, cannot be scheduled, or its image cannot be pulled",
        gateway_pods(cluster),
    )


def no_pods(cluster: str) -> Finding:
    """A cluster has nothing that could answer."""
    return make_finding(
        "no pods",
        cluster,
        f"{cluster}: no ready helloworld pod, where at least one was expected",
        "the federation did not place the sample there, or its image cannot be pulled",
        kubectl(cluster, "-n sample get deployments,pods,events"),
    )


def no_weight(client: str, cluster: str, host: str) -> Finding:
    """A cluster has pods and a place in the table, yet gets no requests."""
    return make_finding(
        "no weight",
        cluster,
        f"{client}: {cluster} has ready pods, yet its expected share of the answers is 0 by the "
        "weights of the caller's sidecar",
        "a DestinationRule or locality setting keeps traffic away from it",
        routing_rules(host),
    )
