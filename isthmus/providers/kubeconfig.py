"""Clusters that exist, by kubeconfig file and context; neither created nor deleted here."""

from isthmus.adapters import kube
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import BadEnvironment, Unprepared
from isthmus.facts import Access
from isthmus.providers.contract import Defaults
from isthmus.stacks import load


class Kubeconfig:
    """The provider of clusters that somebody else made."""

    disposable = False
    defaults = Defaults()

    def check(self, environment: Environment) -> None:
        """Raise Unprepared with every cluster whose file is missing; refuse two names of one."""
        missing = [
            f"{c.name}: {c.kubeconfig}: no such file"
            for c in environment.clusters
            if not (c.kubeconfig and c.kubeconfig.is_file())
        ]
        if missing:
            raise Unprepared(
                "; ".join(missing), hint="correct `kubeconfig` in the environment file"
            )
        self._check_twins(environment)
        for cluster in environment.clusters:
            _check_version(environment, self.access(environment, cluster))

    def ensure(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach the cluster; it must answer."""
        return self.access(environment, cluster)

    def access(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach the cluster; raises ClusterUnreachable if it is silent."""
        if cluster.kubeconfig is None or cluster.context is None:
            raise Unprepared("no kubeconfig and context in the environment", cluster=cluster.name)
        access = Access(
            cluster=cluster.name, kubeconfig=cluster.kubeconfig, context=cluster.context
        )
        return access.model_copy(update={"uid": kube.connect(access).uid()})

    def release(self, environment: Environment, cluster: ClusterSpec) -> None:
        """Leave the cluster: it is not ours."""

    def delete(self, environment: Environment) -> None:
        """Leave the clusters: they are not ours."""

    def _check_twins(self, environment: Environment) -> None:
        seen: dict[str, str] = {}
        for cluster in environment.clusters:
            uid = self.access(environment, cluster).uid
            if uid in seen:
                raise BadEnvironment(
                    f"is the same cluster as {seen[uid]} (kube-system UID {uid})",
                    cluster=cluster.name,
                    hint="give every cluster a context of its own in the environment file",
                )
            seen[uid] = cluster.name


def _check_version(environment: Environment, access: Access) -> None:
    stack = load(environment.stack)
    version = kube.connect(access).version()
    if not stack.kubernetes.holds(version):
        raise Unprepared(
            f"runs Kubernetes {version}; stack {stack.name} is for "
            f"{stack.kubernetes.min} to {stack.kubernetes.max}",
            cluster=access.cluster,
            hint="take a cluster of such a version, or another `stack`",
        )
