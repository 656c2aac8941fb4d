"""Networks: which one each cluster, gateway and proxy is in, by the labels that istiod reads."""

from collections.abc import Iterator

import yaml

from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.finding import Failure, analyzer
from isthmus.diagnosis.gateway_facts import NETWORK_LABEL, own_service, stack_of
from isthmus.diagnosis.objects import (
    environment_of,
    find,
    full_name,
    has_sidecar,
    is_ending,
    labels_of,
    listed,
    name_of,
    namespace_of,
)
from isthmus.diagnosis.services import restarts, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

NETWORK_VARIABLE = "ISTIO_META_NETWORK"
INJECTOR = "istio-sidecar-injector"


@analyzer("F18", "A cluster, a gateway or a proxy is not in the network that it should be in")
def other_network(snapshot: Snapshot) -> Iterator[Failure]:
    """Find network labels that are missing or wrong, and proxies of another network.

    istiod takes a pod's network from its label, then from istio-system's, then from meshNetworks
    (istio pilot/pkg/serviceregistry/kube/controller/controller.go, network).
    """
    if stack_of(snapshot).networks == "labels":
        for cluster in snapshot.clusters:
            space = find(cluster, "Namespace", ISTIO_NAMESPACE)
            for item in (space, own_service(snapshot, cluster)):
                if item and labels_of(item).get(NETWORK_LABEL) != cluster.network:
                    yield _label(snapshot, cluster, item)
    else:
        yield from _mesh_networks(snapshot)
    for cluster in snapshot.clusters:
        yield from _proxies(snapshot, cluster)


def _label(snapshot: Snapshot, cluster: ClusterSnapshot, item: Object) -> Failure:
    has = labels_of(item).get(NETWORK_LABEL) or "missing"
    effect = "istiod knows no gateway of the network, and hands out addresses of its pods, which "
    effect += "no other network reaches"
    if item.get("kind") == "Namespace":
        effect = "istiod takes the cluster's pods for some of another network, or of any"
    return Failure(
        clusters=(cluster.name,),
        object=full_name(item),
        evidence=(
            f"{cluster.name}: label {NETWORK_LABEL} of {full_name(item)} is {has}",
            f"the environment says {cluster.network}",
        ),
        cause=f"the label was removed or changed, so {effect}",
        fix=up(snapshot),
    )


def _mesh_networks(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters that the host's own list of networks (`meshNetworks`) lacks."""
    config, port = f"ConfigMap {ISTIO_NAMESPACE}/istio", stack_of(snapshot).gateway.port
    networks = _listed_networks(snapshot)
    for cluster in snapshot.clusters if networks is not None else ():
        entry = dig(networks, cluster.network)
        registries = [e.get("fromRegistry") for e in mappings(dig(entry, "endpoints"))]
        ports = [g.get("port") for g in mappings(dig(entry, "gateways"))]
        if cluster.name in registries and port in ports:
            continue
        lacks = f"fromRegistry {cluster.name}" if port in ports else f"a gateway on port {port}"
        yield Failure(
            clusters=(cluster.name,),
            object=f"{config}, {cluster.network}",
            evidence=(
                f"{snapshot.host.name}: meshNetworks of {config} has no {cluster.network} with "
                f"{lacks}",
            ),
            cause="istiod knows no gateway of this network, and hands out addresses of its pods, "
            "which no other network reaches",
            fix=up(snapshot),
        )


def _listed_networks(snapshot: Snapshot) -> Object | None:
    """Return the networks by name; None if the host did not tell."""
    text = dig(find(snapshot.host, "ConfigMap", "istio", ISTIO_NAMESPACE), "data", "meshNetworks")
    if not isinstance(text, str):
        return None
    try:
        found = dig(yaml.safe_load(text), "networks")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _proxies(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[Failure]:
    wrong = {full_name(p): n for p, n in _networks(cluster) if n != cluster.network}
    if not wrong:
        return
    spaces = dict.fromkeys(name.partition(" ")[2].partition("/")[0] for name in wrong)
    path = _injection_path(cluster)
    other = bool(path) and "/net/" in path and f"/net/{cluster.network}" not in path
    evidence = [f"{name} is in {network or 'no network'}" for name, network in wrong.items()]
    rest = [f"and {len(evidence) - 5} more"] if len(evidence) > 5 else []
    yield Failure(
        clusters=(cluster.name,),
        object=f"proxies of {cluster.name}",
        evidence=(
            *(f"{cluster.name}: {line}" for line in (*evidence[:5], *rest)),
            f"the environment says {cluster.network}",
            *((f"the injector's path is {path}",) if other else ()),
        ),
        cause="the injector's webhook gives pods of the cluster another network"
        if other
        else "the pods were made before the network was set, or carry another one themselves",
        fix="\n".join([up(snapshot), *restarts(cluster.name, spaces)]),
        certain=other,
    )


def _networks(cluster: ClusterSnapshot) -> Iterator[tuple[Object, str]]:
    """Yield each pod with a proxy and its network: by its label, its variable, its proxy."""
    told = {(p.namespace, p.pod): p for p in cluster.proxies}
    gateways = {key for key, proxy in told.items() if proxy.kind == "gateway"}
    for pod in listed(cluster, "Pod"):
        place = namespace_of(pod), name_of(pod)
        if is_ending(pod) or not (has_sidecar(pod) or place in gateways):
            continue
        variables = environment_of(pod, "istio-proxy")
        proxy = told.get(place)
        own = proxy.network if proxy and not proxy.errors else ""
        every = labels_of(pod).get(NETWORK_LABEL), own, variables.get(NETWORK_VARIABLE)
        found = [network for network in every if network]
        if found or variables:
            yield pod, next((n for n in found if n != cluster.network), next(iter(found), ""))


def _injection_path(cluster: ClusterSnapshot) -> str:
    found = find(cluster, "MutatingWebhookConfiguration", INJECTOR)
    hooks = mappings((found or {}).get("webhooks"))
    return str(dig(hooks[0], "clientConfig", "service", "path") or "") if hooks else ""


ANALYZERS = (other_network,)
