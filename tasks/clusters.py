"""Clusters: made or found, and settled enough to run pods."""

from isthmus import built, providers, waiting
from isthmus.adapters import kube
from isthmus.adapters.manifests import Manifest
from isthmus.environment import ClusterSpec, Environment
from isthmus.facts import Access, Done
from tasks.policies import step

NODES = 180.0
"""Seconds until a cluster must have a Ready node; 8 in the lab, minutes in a cloud."""


@step("prepare", looks=True)
def prepare(environment: Environment) -> Done:
    """Refuse what cannot go well before anything is changed; from then on the name is known."""
    built.check(environment)
    providers.check_once(environment)
    built.remember(environment)
    return Done(cluster="")


@step("create cluster", of="cluster", looks=True)
def create_cluster(environment: Environment, cluster: ClusterSpec, prepared: Done) -> Access:
    """Make the cluster exist and its API server answer."""
    return _known(environment, cluster, providers.of(environment).ensure(environment, cluster))


@step("find cluster", of="cluster", looks=True)
def find_cluster(environment: Environment, cluster: ClusterSpec) -> Access:
    """Return how to reach a cluster that must exist."""
    return reach(environment, cluster)


@step("wait for nodes", of="access")
def await_nodes(access: Access) -> Done:
    """Make sure that the cluster can run pods: a node of it is Ready."""
    client = kube.connect(access)

    def ready() -> int | None:
        return sum(map(_is_ready, client.objects("Node"))) or None

    nodes = waiting.until(ready, "a Ready node", timeout=NODES, cluster=access.cluster)
    return Done(cluster=access.cluster, found=f"{nodes} ready")


def reach(environment: Environment, cluster: ClusterSpec) -> Access:
    """Return how to reach a cluster; raises NotReady or ClusterUnreachable if it is not there."""
    return _known(environment, cluster, providers.of(environment).access(environment, cluster))


def _known(environment: Environment, cluster: ClusterSpec, access: Access) -> Access:
    member = access.member or cluster.member or ""
    return access.model_copy(update={"environment": environment.name, "member": member})


def _is_ready(node: Manifest) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
