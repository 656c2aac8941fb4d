"""NetworkPolicies that do not let a mesh's own connections through."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from isthmus.diagnosis import pods
from isthmus.diagnosis.finding import Failure, analyzer
from isthmus.diagnosis.network_policies import Direction, Need, isolating, lets_through
from isthmus.diagnosis.objects import (
    full_name,
    labels_of,
    listed,
    namespace_of,
)
from isthmus.diagnosis.services import (
    apply,
    callers,
    pods_of,
    reachable,
    service_in,
    services,
    stack_of,
    target_ports,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.stacks import GatewayNames

XDS, WEBHOOK, DNS_PORT = 15012, 15017, 53
CALLERS, GATEWAY, ISTIOD, BACKENDS = "the caller", "the gateway", "istiod", "the service's pods"


@analyzer("F50", "A NetworkPolicy does not let the mesh's connections through", severity="warning")
def isolated(snapshot: Snapshot) -> Iterator[Failure]:
    """Find policies that isolate pods of the mesh without a rule for what they need."""
    stack = stack_of(snapshot)
    for cluster in reachable(snapshot) if stack else ():
        if not stack or not listed(cluster, "NetworkPolicy"):
            continue
        blocked: dict[tuple[str, Direction], list[tuple[Need, Object]]] = {}
        for need in _needs(snapshot, cluster, stack.gateway):
            if pod := _blocked(cluster, need):
                blocked.setdefault((need.role, need.direction), []).append((need, pod))
        for found in blocked.values():
            yield _failure(snapshot, cluster, found)


def _blocked(cluster: ClusterSnapshot, need: Need) -> Object | None:
    """Return a pod that does not get what it needs."""
    for pod in need.pods:
        policies = isolating(cluster, pod, need.direction)
        if policies and not lets_through(cluster, policies, need, pod):
            return pod
    return None


def _needs(snapshot: Snapshot, cluster: ClusterSnapshot, gateway: GatewayNames) -> Iterator[Need]:
    key, _, value = gateway.selector.partition("=")
    istiods = pods.selected(cluster, ISTIO_NAMESPACE, {"app": "istiod"})
    gateways = pods.selected(cluster, ISTIO_NAMESPACE, {key: value})
    for service in services(snapshot):
        asking = callers(cluster, service)
        backends = pods_of(cluster, service)
        found = {n for p in backends for n in target_ports(service_in(cluster, service), p)}
        for port in sorted(found):
            near = [*gateways, *asking]
            yield Need(BACKENDS, backends, "Ingress", port, f"{GATEWAY} and {CALLERS}", near)
            for role, of in ((GATEWAY, gateways), (CALLERS, asking)):
                yield Need(role, of, "Egress", port, BACKENDS, backends)
    proxied = [*gateways, *callers(cluster)]
    if istiods:
        yield Need(ISTIOD, istiods, "Ingress", XDS, "every proxy", proxied)
        yield Need(ISTIOD, istiods, "Ingress", WEBHOOK, "the API server")
    yield from _ways_in(cluster, gateway, gateways, bool(istiods))
    yield from _ways_out(cluster, gateway, gateways, istiods)


def _ways_in(
    cluster: ClusterSnapshot, gateway: GatewayNames, gateways: list[Object], has_istiod: bool
) -> Iterator[Need]:
    others = "other networks"
    found = listed(cluster, "Service", ISTIO_NAMESPACE)
    key, _, value = gateway.selector.partition("=")
    ours = [s for s in found if labels_of(s).get(key) == value]
    inner = {p for s in ours for p in _behind(s, gateway.port, gateways)}
    for port in sorted(inner) or [gateway.port]:
        yield Need(GATEWAY, gateways, "Ingress", port, others)
    if cluster.host and has_istiod:
        yield Need(GATEWAY, gateways, "Ingress", XDS, "remotes' proxies, on their way to istiod")


def _behind(service: Object, number: int, gateways: list[Object]) -> list[int]:
    ports = [p for p in service.get("spec", {}).get("ports") or [] if p.get("port") == number]
    return [t for pod in gateways for t in target_ports({"spec": {"ports": ports}}, pod)]


def _ways_out(
    cluster: ClusterSnapshot,
    gateway: GatewayNames,
    gateways: list[Object],
    istiods: list[Object],
) -> Iterator[Need]:
    asking, names = callers(cluster), pods.alive(cluster)
    dns = [p for p in names if labels_of(p).get("k8s-app") == "kube-dns"]
    for role, of in ((GATEWAY, gateways), (CALLERS, asking)):
        yield Need(role, of, "Egress", XDS, ISTIOD, istiods or None)
        if dns:
            yield Need(role, of, "Egress", DNS_PORT, "the cluster's DNS", dns, "UDP")
    yield Need(CALLERS, asking, "Egress", gateway.port, "gateways of other networks")
    for secret in cluster.remote_secrets:
        parts = urlsplit(secret.server)
        try:
            port = parts.port or 443
        except ValueError:
            continue
        yield Need(ISTIOD, istiods, "Egress", port, f"the API server of {secret.key}")


def _failure(
    snapshot: Snapshot, cluster: ClusterSnapshot, found: list[tuple[Need, Object]]
) -> Failure:
    need, pod = found[0]
    policies = isolating(cluster, pod, need.direction)
    way, end = ("lets in", "from") if need.direction == "Ingress" else ("lets out", "to")
    return Failure(
        (cluster.name,),
        (
            *(f"{full_name(p)} selects {full_name(pod)} ({need.direction})" for p in policies),
            *(f"no rule {way} {n.protocol} {n.port} {end} {n.peer}" for n, _ in found),
            *_proof(snapshot, cluster, need),
        ),
        f"{need.role} is isolated by a NetworkPolicy without a rule for what the mesh needs; that "
        "takes effect if the cluster's CNI enforces such policies",
        _allow(cluster, found),
        object=f"{full_name(policies[0])} on {need.role}, {need.direction}",
        severity="error" if _proof(snapshot, cluster, need) else "warning",
        certain=False,
    )


def _proof(snapshot: Snapshot, cluster: ClusterSnapshot, need: Need) -> list[str]:
    """Return the ways that were tried in vain where the policy may have shut them."""
    into = need.role in (GATEWAY, ISTIOD) and need.direction == "Ingress"
    out = need.role == CALLERS and need.direction == "Egress"
    return [
        f"{p.source}: {p.endpoint}: {p.error}"
        for p in snapshot.probes
        if p.error_at == "tcp"
        and ((into and p.target == cluster.name) or (out and p.source == cluster.name))
    ]


def _allow(cluster: ClusterSnapshot, found: list[tuple[Need, Object]]) -> str:
    """Return the command that adds a policy for these ports: policies add up."""
    need, pod = found[0]
    ports = [{"protocol": n.protocol, "port": n.port} for n, _ in found]
    key, word = need.direction.lower(), need.role.rpartition(" ")[2]
    labels = {k: v for k, v in labels_of(pod).items() if not k.endswith("-hash")}
    labels = {k: v for k, v in labels.items() if k in ("app", "istio")} or labels
    made = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"allow-mesh-{word}-{key}", "namespace": namespace_of(pod)},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": [need.direction],
            key: [{"ports": ports}],
        },
    }
    return apply(cluster.name, made)


ANALYZERS = (isolated,)
