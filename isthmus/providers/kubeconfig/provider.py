"""The contract's provider of clusters that exist, by kubeconfig file and context."""

from isthmus.adapters import kube
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import Unprepared, combine_errors
from isthmus.providers.base import ProviderDefaults
from isthmus.providers.kubeconfig import preflight
from isthmus.step_results import Access


class KubeconfigProvider:
    """The provider of clusters that somebody else made."""

    disposable = False
    defaults = ProviderDefaults()

    def check(self, environment: Environment) -> None:
        """Raise everything for which the clusters are refused; what was probed is removed again.

        Its type says what must be done: change the file, do something in a cluster, or wait.
        """
        missing = [
            Unprepared(
                f"{c.kubeconfig}: no such file",
                cluster=c.name,
                hint="correct `kubeconfig` in the environment file",
            )
            for c in environment.clusters
            if not (c.kubeconfig and c.kubeconfig.is_file())
        ]
        if missing:
            raise combine_errors(
                missing, "kubeconfig files are missing:", "correct the paths, then run it again"
            )
        preflight.check(environment, [_build_access(c) for c in environment.clusters])

    def ensure(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach the cluster; it must answer."""
        return self.access(environment, cluster)

    def access(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach the cluster; raises ClusterUnreachable if it is silent."""
        access = _build_access(cluster)
        return access.model_copy(update={"uid": kube.connect(access).uid()})

    def release(self, environment: Environment, cluster: ClusterSpec) -> None:
        """Leave the cluster: it is not ours."""

    def delete(self, environment: Environment) -> None:
        """Leave the clusters: they are not ours."""


def _build_access(cluster: ClusterSpec) -> Access:
    """Return how a cluster is to be reached, without a look whether it can be."""
    if cluster.kubeconfig is None or cluster.context is None:
        raise Unprepared("no kubeconfig and context in the environment", cluster=cluster.name)
    return Access(
        cluster=cluster.name,
        kubeconfig=cluster.kubeconfig,
        context=cluster.context,
        server=cluster.server or "",
    )
