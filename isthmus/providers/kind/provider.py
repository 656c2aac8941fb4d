"""kind as a provider: a cluster is a container on this machine, all in one Docker network."""

import shutil
from contextlib import suppress
from pathlib import Path

from isthmus import polling, state
from isthmus.adapters import kube
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import ClusterUnreachable, NotReady, Unprepared
from isthmus.providers.base import ProviderDefaults
from isthmus.providers.kind import cloud_provider, commands, preflight, records
from isthmus.step_results import Access


class KindProvider:
    """Clusters in Docker containers."""

    disposable = True
    defaults = ProviderDefaults()

    def check(self, environment: Environment) -> None:
        """Raise Unprepared with all that this machine lacks for so many kind clusters."""
        preflight.check_machine(environment)

    def ensure(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Make the cluster exist, its API server answer, and its Services get addresses."""
        name = records.full_name(environment.name, cluster.name)
        if not _is_complete(environment, cluster, name):
            _create(environment, cluster, name)
        commands.start(name)
        cloud_provider.ensure()
        access = _access(environment.name, cluster.name, name)
        what = "the API server to answer"
        limit = polling.timeouts().api_server
        uid = polling.until(lambda: _uid(access), what, timeout=limit, cluster=cluster.name)
        return access.model_copy(update={"uid": uid})

    def access(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach the cluster; raises NotReady if it was not made or is stopped."""
        name = records.full_name(environment.name, cluster.name)
        known = records.read(environment.name).get(cluster.name)
        if not known or name not in commands.clusters():
            hint = f"isthmus up {environment.name}"
            raise NotReady("was never created, or was deleted", cluster=cluster.name, hint=hint)
        access = _access(environment.name, cluster.name, name)
        return access.model_copy(update={"uid": kube.connect(access).uid()})

    def release(self, environment: Environment, cluster: ClusterSpec) -> None:
        """Leave nothing of one cluster; a cluster that somebody put in its place stays."""
        if cluster.name in records.read(environment.name):
            _delete(environment.name, cluster.name, commands.clusters())
            records.remove(environment.name, cluster.name)

    def delete(self, environment: Environment) -> None:
        """Leave no kind cluster of the environment and none of its load balancers."""
        known = records.read(environment.name)
        there = commands.clusters() if known else []
        for cluster in known:
            _delete(environment.name, cluster, there)
        shutil.rmtree(_folder(environment.name), ignore_errors=True)
        records.remove_all(environment.name)
        if known:
            cloud_provider.stop_if_unused()


def _delete(environment: str, cluster: str, there: list[str]) -> None:
    name = records.full_name(environment, cluster)
    if name in there:
        if records.is_foreign(environment, cluster):
            return  # somebody has put another in its place
        commands.delete(name, _kubeconfig(environment, cluster))
    cloud_provider.remove_load_balancers(name)


def _is_complete(environment: Environment, cluster: ClusterSpec, name: str) -> bool:
    """Tell whether the cluster is there as a whole; one that was left half-made is deleted."""
    if name not in commands.clusters():
        return False
    if records.is_foreign(environment.name, cluster.name):
        what, hint = preflight.clash(name)
        raise Unprepared(what, cluster=cluster.name, hint=hint)
    if records.read(environment.name)[cluster.name] == records.CREATING:
        commands.delete(name, _kubeconfig(environment.name, cluster.name))
        return False
    return True


def _create(environment: Environment, cluster: ClusterSpec, name: str) -> None:
    # Written before anything is made, so that `down` knows of it whatever happens next.
    records.add(environment.name, cluster.name, records.CREATING)
    path = _kubeconfig(environment.name, cluster.name)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    commands.create(name, preflight.node_image(environment), cluster.region, path)
    records.add(environment.name, cluster.name, commands.node(name).identity)
    kube.clear_clients()  # one of the same name before it had other keys


def _access(environment: str, cluster: str, name: str) -> Access:
    path = _kubeconfig(environment, cluster)
    # Asked each time: Docker may have given the node another port or address since.
    server, text = commands.server(name), commands.kubeconfig(name)
    if not path.exists() or path.read_text() != text:
        state.write_private(path, text)
    return Access(cluster=cluster, kubeconfig=path, context=commands.context(name), server=server)


def _uid(access: Access) -> str | None:
    with suppress(ClusterUnreachable, NotReady):
        return kube.connect(access).uid()
    return None


def _folder(environment: str) -> Path:
    return state.folder(environment) / "kind"


def _kubeconfig(environment: str, cluster: str) -> Path:
    return _folder(environment) / f"{cluster}.kubeconfig"
