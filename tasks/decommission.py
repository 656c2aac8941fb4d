"""Parting: a cluster that the file has no longer is let go, and no request of the others fails.

First nobody sends to it any more, then what is on its way there ends, then it goes. One that does
not answer is let go unheard: the host's side is cleaned all the same.
"""

from isthmus import environment_store, events, mesh_ca, polling, providers, state
from isthmus.adapters import envoy, kube, kubefed, prune, readiness
from isthmus.adapters.diff import ENVIRONMENT_LABEL, Manifest, owner_of
from isthmus.environment import ClusterSpec, Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, REMOTE_SECRET_PREFIX
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, TransientError, Unprepared
from isthmus.reporting import redact
from isthmus.stacks import load
from isthmus.step_results import Access, Done, RemovedCluster
from isthmus.verification import count_active_connections, has_endpoint
from tasks.policies import step
from tasks.teardown import is_own_federation, unjoin


class ConnectionsOpen(NotReady):
    """Connections stay open for longer than they are waited for."""


@step("find removed clusters", of="host", looks=True)
def find_removed_clusters(environment: Environment, host: Access) -> list[RemovedCluster]:
    """Return the clusters that the environment had, by this machine's state or by its host."""
    known = {cluster.name: cluster for cluster in environment_store.removed_clusters(environment)}
    names = {*known, *_removed_names_on_host(environment, kube.connect(host))}
    return [_reached(environment, name, known.get(name)) for name in sorted(names)]


@step("delete remote secret", of="removed")
def delete_remote_secret(environment: Environment, host: Access, removed: RemovedCluster) -> Done:
    """Leave the host no secret of the cluster: istiod takes its endpoints from every proxy."""
    client = kube.connect(host)
    secret = client.get("Secret", f"{REMOTE_SECRET_PREFIX}{removed.cluster}", ISTIO_NAMESPACE)
    if not secret or owner_of(secret) != environment.name:
        return Done(cluster=removed.cluster, found="no remote secret of this environment")
    client.delete(secret)
    return Done(cluster=removed.cluster, found="remote secret deleted")


@step("wait until proxies drop", of="removed", looks=True)
def await_endpoint_removal(
    environment: Environment, members: list[Access], removed: RemovedCluster, secret_deleted: Done
) -> Done:
    """Make sure that no proxy of the other clusters lists the cluster's gateway any more."""
    if not (addresses := _gateway(environment, removed)):
        return Done(cluster=removed.cluster, found="has no gateway that answers")
    asked = 0
    for client in map(kube.connect, members):
        for pod in envoy.sidecars(client):
            for address in addresses:
                _await_endpoint_dropped(client, pod, address)
            asked += 1
    known = ", ".join(addresses)
    return Done(cluster=removed.cluster, found=f"{asked} proxies no longer list {known}")


@step("drain", of="removed", looks=True)
def drain(environment: Environment, removed: RemovedCluster, endpoints_dropped: Done) -> Done:
    """Let requests end that are on their way through the cluster's gateway."""
    if removed.access is None:
        return Done(cluster=removed.cluster, found="does not answer")
    client, left = kube.connect(removed.access), 0

    def ended() -> bool | None:
        nonlocal left
        left = sum(
            count_active_connections(envoy.fetch_endpoints(client, pod))
            for pod in _gateway_pods(environment, client)
        )
        return None if left else True

    try:
        polling.until(
            ended,
            "the gateway's connections to close",
            timeout=polling.timeouts().drain,
            error=ConnectionsOpen,
        )
    except ConnectionsOpen:
        limit = polling.timeouts().drain
        return Done(cluster=removed.cluster, found=f"{left} connections open after {limit} s")
    except ClusterUnreachable as error:
        return Done(cluster=removed.cluster, found=f"no longer reachable: {error.message}")
    return Done(cluster=removed.cluster, found="no open connections")


@step("leave federation", of="removed")
def leave_federation(
    environment: Environment, host: Access, removed: RemovedCluster, drained: Done
) -> Done:
    """Make the cluster no member any more; one that does not answer is struck off in the host."""
    if environment.has_console_federation:
        return Done(cluster=removed.cluster, found="remove it from the federation in its console")
    if removed.access:
        return unjoin(environment, host, removed.access)
    client = kube.connect(host)
    known_as = removed.member or removed.cluster
    member = client.get("KubeFedCluster", known_as, KUBEFED_NAMESPACE, kubefed.CORE_API)
    if not member:
        return Done(cluster=removed.cluster, found="was not a member")
    name, space = member["spec"].get("secretRef", {}).get("name", ""), KUBEFED_NAMESPACE
    if secret := client.get("Secret", name, space) if name else None:
        client.delete(secret)
    client.delete(member)
    return Done(cluster=removed.cluster, found="its KubeFedCluster was deleted")


@step("release cluster", of="removed")
def release_cluster(environment: Environment, removed: RemovedCluster, left: object) -> Done:
    """Leave nothing of the mesh in the cluster, or nothing of the cluster if it was made for it."""
    name, provider = removed.cluster, providers.get_provider(environment)
    if not provider.disposable and removed.access is None:
        return Done(cluster=name, found=_describe_unreachable(environment, removed))
    done = "nothing to remove"
    ca = state.folder(environment.name) / "ca"
    if not provider.disposable and removed.access:
        client = kube.connect(removed.access)
        gone = prune.remove_everything(client, environment.name, mesh_ca.read_root_certificate(ca))
        done = f"{gone} objects deleted"
    if spec := _spec(environment, name):
        provider.release(environment, spec)
        done = "deleted" if provider.disposable else done
    mesh_ca.delete_intermediate(ca, name)
    environment_store.delete_removal_record(environment.name, name)
    return Done(cluster=name, found=done)


def _removed_names_on_host(environment: Environment, host: kube.Kube) -> list[str]:
    """Return the names of clusters that the host serves for this environment without need."""
    labels = f"{ENVIRONMENT_LABEL}={environment.name},istio/multiCluster=true"
    secrets = [_name(s) for s in host.objects("Secret", ISTIO_NAMESPACE, labels=labels)]
    names = [
        s.removeprefix(REMOTE_SECRET_PREFIX) for s in secrets if s.startswith(REMOTE_SECRET_PREFIX)
    ]
    if is_own_federation(environment, host):
        names += map(_name, host.objects("KubeFedCluster", KUBEFED_NAMESPACE, kubefed.CORE_API))
    clusters = [*environment.clusters, *environment_store.removed_clusters(environment)]
    known = {name for c in clusters for name in (c.name, c.member_name)}
    return [name for name in names if name not in known]


def _reached(environment: Environment, name: str, spec: ClusterSpec | None) -> RemovedCluster:
    if spec is None:
        return RemovedCluster(
            cluster=name, unreachable_reason="this machine has no record of how to reach it"
        )
    try:
        access = providers.get_provider(environment).access(environment, spec)
    except (TransientError, Unprepared, Rejected) as error:
        silence = redact(error.message)
        events.report_progress(f"{name} does not answer: {silence}")
        return RemovedCluster(cluster=name, member=spec.member_name, unreachable_reason=silence)
    member = {"member": access.member or spec.member_name}
    return RemovedCluster(cluster=name, access=access.model_copy(update=member))


def _gateway(environment: Environment, removed: RemovedCluster) -> list[str]:
    if removed.access is None:
        return []
    name = load(environment.stack).gateway.name
    try:
        return readiness.current_addresses(kube.connect(removed.access), name, ISTIO_NAMESPACE)
    except ClusterUnreachable:
        return []


def _gateway_pods(environment: Environment, client: kube.Kube) -> list[Manifest]:
    return readiness.running_pods(client, ISTIO_NAMESPACE, load(environment.stack).gateway.selector)


def _await_endpoint_dropped(client: kube.Kube, pod: Manifest, address: str) -> None:
    where = f"{pod['metadata']['namespace']}/{_name(pod)}"

    def forgotten() -> bool | None:
        if not client.has_object({"apiVersion": "v1", "kind": "Pod", **pod}):
            return True
        return None if has_endpoint(envoy.fetch_endpoints(client, pod), address) else True

    polling.until(
        forgotten,
        f"the sidecar of {where} to drop the endpoint {address}; restart the pod if it is stuck",
        timeout=polling.timeouts().proxies,
        cluster=client.access.cluster,
    )


def _describe_unreachable(environment: Environment, removed: RemovedCluster) -> str:
    """Say what is left in a cluster that could not be reached, and what becomes of it."""
    label = f"{ENVIRONMENT_LABEL}={environment.name}"
    what = f"unreachable ({removed.unreachable_reason}); objects labelled {label} stay in it"
    if not _spec(environment, removed.cluster):
        return what
    record = environment_store.removal_record_path(environment.name, removed.cluster)
    return f"{what}; the next up or down tries again, unless you delete {record}"


def _spec(environment: Environment, name: str) -> ClusterSpec | None:
    return next(
        (c for c in environment_store.removed_clusters(environment) if c.name == name), None
    )


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
