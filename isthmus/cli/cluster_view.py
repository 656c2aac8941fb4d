"""Looking at an environment's clusters; reads, never writes. What it means is said in status."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from isthmus import polling, providers
from isthmus.adapters import kube, kubefed
from isthmus.adapters.diff import is_ready
from isthmus.adapters.pod_exec import KubeletUnreachable
from isthmus.cli.status_checks import ClusterState, ClusterStatus, ReadyCount
from isthmus.environment import ClusterSpec, Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, REMOTE_SECRET_PREFIX
from isthmus.errors import ClusterUnreachable, IsthmusError
from isthmus.providers.kubeconfig import capacity
from isthmus.stacks import load
from isthmus.step_results import Access

EXEC_PROBE_COMMAND = ["pilot-agent", "version"]
"""A command that every proxy has, and that asks nobody."""


class ClusterReader(Protocol):
    """As much of a cluster's client as looking needs."""

    access: Access

    def version(self) -> str:
        """Return the API server's version."""

    def get(self, kind: str, name: str, namespace: str = "", api: str = "v1") -> Any:
        """Return an object, or None."""

    def objects(
        self, kind: str, namespace: str = "", api: str = "v1", labels: str = ""
    ) -> list[Any]:
        """Return all objects of a kind."""

    def execute(self, pod: str, namespace: str, container: str, argv: list[str]) -> object:
        """Return what a command in a container printed; raises KubeletUnreachable."""


def get_cluster_statuses(environment: Environment) -> list[ClusterStatus]:
    """Return what each cluster shows, host first; all are asked at once."""

    def status(cluster: ClusterSpec) -> ClusterStatus:
        return get_cluster_status(environment, cluster, connect)

    with ThreadPoolExecutor(len(environment.clusters)) as pool:
        return list(pool.map(polling.in_current_context(status), environment.clusters))


def connect(environment: Environment, cluster: ClusterSpec) -> ClusterReader:
    """Return a client for a cluster that exists."""
    return kube.connect(providers.get_provider(environment).access(environment, cluster))


def get_cluster_status(
    environment: Environment,
    cluster: ClusterSpec,
    connect: Callable[[Environment, ClusterSpec], ClusterReader],
) -> ClusterStatus:
    """Return what one cluster shows; of one that cannot be asked, why."""
    try:
        with polling.use_timeouts(environment.timeouts):
            reader = connect(environment, cluster)
            seen = read_cluster_state(reader, environment, cluster)
    except IsthmusError as error:
        return ClusterStatus(cluster, None, error.message, isinstance(error, ClusterUnreachable))
    return ClusterStatus(cluster, seen, member=reader.access.member)


def read_cluster_state(
    reader: ClusterReader, environment: Environment, cluster: ClusterSpec
) -> ClusterState:
    """Return what there is in a cluster that answers."""
    is_host = cluster == environment.host
    gateway = load(environment.stack).gateway.selector
    nodes = reader.objects("Node")
    services = reader.objects("Service", ISTIO_NAMESPACE, labels=gateway)
    gateways = reader.objects("Pod", ISTIO_NAMESPACE, labels=gateway)
    return ClusterState(
        version=reader.version(),
        nodes=_ready(nodes),
        gateway_pods=_ready(gateways),
        gateway_address=next(filter(None, map(_address, services)), ""),
        istiod=_ready(reader.objects("Pod", ISTIO_NAMESPACE, labels="app=istiod")),
        unschedulable_nodes=()
        if capacity.schedulable_nodes(nodes)
        else tuple(map(_unschedulable_reason, nodes)),
        unreachable_kubelets=tuple(_unreachable_kubelets(reader, gateways)),
        remote_secrets=_remote_secrets(reader, environment) if is_host else (),
        ready_members=_ready_members(reader) if is_host else (),
    )


def _unreachable_kubelets(reader: ClusterReader, gateways: list[Any]) -> Iterator[str]:
    """Yield what is said of kubelets that the API server does not reach; a node is asked once.

    All else goes on without them, and neither `exec` nor logs do. Who may not ask is told nothing.
    """
    ready = [pod for pod in gateways if is_ready(pod)]
    for pod in {pod.get("spec", {}).get("nodeName"): pod for pod in ready}.values():
        try:
            reader.execute(
                pod["metadata"]["name"], ISTIO_NAMESPACE, "istio-proxy", EXEC_PROBE_COMMAND
            )
        except KubeletUnreachable as error:
            yield f"{error.message}; {error.hint}"
        except IsthmusError:
            continue


def _remote_secrets(reader: ClusterReader, environment: Environment) -> tuple[str, ...]:
    names = [cluster.name for cluster in environment.remotes]
    return tuple(
        n for n in names if reader.get("Secret", f"{REMOTE_SECRET_PREFIX}{n}", ISTIO_NAMESPACE)
    )


def _ready_members(reader: ClusterReader) -> tuple[str, ...]:
    found = reader.objects("KubeFedCluster", KUBEFED_NAMESPACE, api=kubefed.CORE_API)
    return tuple(item["metadata"]["name"] for item in found if is_ready(item))


def _ready(items: list[Any]) -> ReadyCount:
    return ReadyCount(sum(map(is_ready, items)), len(items))


def _unschedulable_reason(node: Any) -> str:
    spec = node.get("spec", {})
    taints = [f"taint {t['key']}:{t['effect']}" for t in spec.get("taints", [])]
    reasons = ["cordoned"] if spec.get("unschedulable") else taints
    return f"{node['metadata']['name']} ({', '.join(reasons)})"


def _address(service: Any) -> str:
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    return str(ingress[0].get("ip") or ingress[0].get("hostname") or "")
