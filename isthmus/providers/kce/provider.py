"""Kingsoft Cloud as a provider: clusters bought, found by name and mark, and given back."""

from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, Unprepared
from isthmus.providers.base import ProviderDefaults
from isthmus.providers.kce import (
    create,
    credentials,
    delete,
    kubeconfig_store,
    payloads,
    purchase_record,
)
from isthmus.providers.kce.api import KceCluster, KceRegionClient
from isthmus.stacks import load
from isthmus.step_results import Access


class KceProvider:
    """Managed clusters of Kingsoft Cloud."""

    disposable = True
    defaults = ProviderDefaults()

    def check(self, environment: Environment) -> None:
        """Raise Unprepared without credentials, or for a version that the stack does not take.

        Raises Rejected if the cloud takes the credentials not, or has a cluster of one's name that
        is not the environment's.
        """
        stack, version = load(environment.stack), str(environment.kce.version)
        if not stack.kubernetes.holds(version):
            raise Unprepared(
                f"kce.version is {version}; stack {stack.name} is for Kubernetes "
                f"{stack.kubernetes.min} to {stack.kubernetes.max}",
                hint="take another `version` (below `kce`), or another `stack`",
            )
        for cluster in environment.clusters:
            create.find(_cloud(environment, cluster), environment, cluster)

    def planned_purchases(self, environment: Environment, anew: bool = False) -> list[str]:
        """Return in words what `ensure` would buy; if `anew`, as if there were nothing yet."""
        lacking = [
            cluster
            for cluster in environment.clusters
            if anew or not create.exists(_cloud(environment, cluster), environment, cluster)
        ]
        return [payloads.purchase(environment, cluster) for cluster in lacking]

    def planned_releases(self, environment: Environment, leaving: list[ClusterSpec]) -> list[str]:
        """Return in words which of these clusters `release` would delete."""
        looked = [create.find(_cloud(environment, c), environment, c) for c in leaving]
        return [_words(found) for found in looked if found]

    def planned_deletions(self, environment: Environment) -> list[str]:
        """Return in words what `delete` would delete."""
        clouds = self._clouds(environment)
        return [_words(f) for cloud in clouds for f in create.list_clusters(cloud, environment)]

    def ensure(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Make the cluster exist, run and answer; nothing is bought twice."""
        cloud = _cloud(environment, cluster)
        identity = create.ensure(cloud, environment, cluster)
        return self._access(environment, cluster, identity)

    def access(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach the cluster; KCE is asked only if what is kept works no more."""
        if identity := kubeconfig_store.stored_cluster_id(environment.name, cluster.name):
            if access := kubeconfig_store.stored_access(environment.name, cluster.name, identity):
                return _as_member(environment, access, identity)
        found = create.find(_cloud(environment, cluster), environment, cluster)
        if found is None:
            hint = f"isthmus up {environment.name}"
            raise NotReady("does not exist in KCE", cluster=cluster.name, hint=hint)
        return self._access(environment, cluster, found.identity)

    def release(self, environment: Environment, cluster: ClusterSpec) -> None:
        """Leave nothing of one cluster in KCE; one that is not there, or not ours, is let be."""
        cloud = _cloud(environment, cluster)
        found = create.find_or_await(cloud, environment, cluster)
        self._delete_clusters(environment, [(cloud, found)] if found else [])

    def delete(self, environment: Environment) -> None:
        """Leave no cluster of the environment's in KCE, and none that may still appear."""
        clouds = self._clouds(environment)
        found = [
            (cloud, one) for cloud in clouds for one in create.list_clusters(cloud, environment)
        ]
        listed = {one.name for _, one in found}
        for cluster in environment.clusters:
            if payloads.name(environment.name, cluster.name) not in listed:
                cloud = _cloud(environment, cluster)
                late = create.find_or_await(cloud, environment, cluster)
                found += [(cloud, late)] if late else []
        self._delete_clusters(environment, found)

    def _delete_clusters(
        self, environment: Environment, found: list[tuple[KceRegionClient, KceCluster]]
    ) -> None:
        for cloud, one in found:
            if access := self._reachable(environment, cloud, one):
                delete.delete_load_balancers(access)
            delete.request_deletion(cloud, one)
        for cloud, one in found:
            create.await_deletion(cloud, one)

    def _reachable(
        self, environment: Environment, cloud: KceRegionClient, one: KceCluster
    ) -> Access | None:
        """Return how to reach a cluster that is to go; a half-made one cannot be reached."""
        if one.status.lower() != create.RUNNING:
            return None
        name = one.name.partition("_")[2]
        try:
            kept = kubeconfig_store.stored_access(environment.name, name, one.identity)
            return kept or kubeconfig_store.fetch(cloud, environment.name, name, one.identity)
        except (Rejected, NotReady, ClusterUnreachable):
            return None

    def _access(self, environment: Environment, cluster: ClusterSpec, identity: str) -> Access:
        access = kubeconfig_store.stored_access(environment.name, cluster.name, identity)
        if access is None:
            cloud = _cloud(environment, cluster)
            access = create.await_api_server(
                lambda: kubeconfig_store.fetch(cloud, environment.name, cluster.name, identity),
                cluster.name,
            )
        return _as_member(environment, access, identity)

    def _clouds(self, environment: Environment) -> list[KceRegionClient]:
        keys = credentials.load_credentials(environment)
        regions = [cluster.region for cluster in environment.clusters]
        return [
            KceRegionClient(region, keys)
            for region in dict.fromkeys([*regions, *purchase_record.regions(environment.name)])
        ]


def _words(found: KceCluster) -> str:
    return (
        f"{found.name}: KCE cluster {found.identity} in {found.region}, {found.status}, "
        "with its nodes and load balancers"
    )


def _cloud(environment: Environment, cluster: ClusterSpec) -> KceRegionClient:
    return KceRegionClient(cluster.region, credentials.load_credentials(environment))


def _as_member(environment: Environment, access: Access, identity: str) -> Access:
    """Return the access with the name by which the console's federation knows the cluster."""
    member = identity if environment.has_console_federation else ""
    return access.model_copy(update={"member": member})
