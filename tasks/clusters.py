"""Clusters: made or found, and settled enough to run pods."""

from isthmus import environment_store, polling, providers
from isthmus.adapters import kube
from isthmus.adapters.diff import is_ready
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import Usage
from isthmus.step_results import Access, Done
from tasks.policies import step


@step("prepare", looks=True)
def prepare(environment: Environment, buy: bool = False, anew: bool = False) -> Done:
    """Refuse what cannot go well before anything is changed; from then on the name is known.

    Raises Usage, with what they are, if clusters would be bought, or bought ones deleted since the
    file has them no longer, and nobody has said yes to that.
    `anew` tells that all will be, because what there is now is taken away before.
    """
    environment_store.check_immutable_fields(environment)
    providers.check_unless_checked(environment)
    if not buy:
        _refuse_to_buy(environment, anew)
    environment_store.save(environment)
    return Done(cluster="")


@step("create cluster", of="cluster", looks=True)
def create_cluster(environment: Environment, cluster: ClusterSpec, prepared: Done) -> Access:
    """Make the cluster exist and its API server answer."""
    return _with_member(cluster, providers.get_provider(environment).ensure(environment, cluster))


@step("find cluster", of="cluster", looks=True)
def find_cluster(environment: Environment, cluster: ClusterSpec) -> Access:
    """Return how to reach a cluster that must exist."""
    return _with_member(cluster, providers.get_provider(environment).access(environment, cluster))


@step("wait for nodes", of="access")
def await_nodes(access: Access) -> Done:
    """Make sure that the cluster can run pods: a node of it is Ready."""
    client = kube.connect(access)

    def ready() -> int | None:
        return sum(map(is_ready, client.objects("Node"))) or None

    nodes = polling.until(
        ready, "a Ready node", timeout=polling.timeouts().node, cluster=access.cluster
    )
    return Done(cluster=access.cluster, found=f"{nodes} ready")


def _refuse_to_buy(environment: Environment, anew: bool) -> None:
    if not (seller := providers.get_paid_provider(environment)):
        return
    hint = f"isthmus up {environment.name} --yes; in Prefect's pages: set parameter buy"
    unasked = "and this was not confirmed"
    if wanted := seller.planned_purchases(environment, anew):
        text = f"these clusters would be bought, {unasked}: {'; '.join(wanted)}"
        raise Usage(text, hint=hint)
    removed = environment_store.removed_clusters(environment)
    if leaving := seller.planned_releases(environment, removed):
        text = f"these clusters would be deleted, {unasked}: {'; '.join(leaving)}"
        raise Usage(text, hint=hint)


def _with_member(cluster: ClusterSpec, access: Access) -> Access:
    member = access.member or cluster.member or ""
    return access.model_copy(update={"member": member})
