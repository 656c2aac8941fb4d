"""The mesh's control plane in the host, and what remotes need to be served by it."""

from isthmus import providers, tools
from isthmus.adapters import istioctl, kube, workloads
from isthmus.adapters.manifests import Manifest
from isthmus.environment import ClusterSpec, Environment
from isthmus.facts import Access, Done, Endpoint, changed
from isthmus.federation import SYSTEM
from isthmus.mesh import Mesh, mesh
from tasks.policies import step

DEFINITIONS = ("Gateway", "VirtualService")


@step("install host", of="host")
def install_host(environment: Environment, host: Access, prepared: Done) -> Done:
    """Make the control plane run in the host; its gateway has an address but no pod yet."""
    client, whole = kube.connect(host), filled(environment)
    made = client.apply(m for m in host_manifests(environment) if not whole.starts_last(m))
    workloads.await_served(client, whole.stack.networking, DEFINITIONS)
    workloads.await_deployment(client, "istiod", SYSTEM)
    return changed(host.cluster, made)


@step("install remote", of="remote")
def install_remote(
    environment: Environment, remote: Access, endpoint: Endpoint, cacerts: Done
) -> Done:
    """Make a remote look to the host's control plane; its gateway has an address but no pod yet."""
    client, whole = kube.connect(remote), filled(environment)
    wanted = remote_manifests(environment, remote.cluster, endpoint.address)
    made = client.apply(m for m in wanted if not whole.starts_last(m))
    if whole.stack.istiod_in_remotes:
        workloads.await_deployment(client, "istiod", SYSTEM)
    return changed(remote.cluster, made)


def host_manifests(environment: Environment) -> list[Manifest]:
    """Return everything of Istio that the host gets."""
    return _manifests(filled(environment).host_operator())


def remote_manifests(environment: Environment, cluster: str, endpoint: str) -> list[Manifest]:
    """Return everything of Istio that a remote gets."""
    return _manifests(filled(environment).remote_operator(_spec(environment, cluster), endpoint))


def filled(environment: Environment) -> Mesh:
    """Return the environment with every default filled in."""
    return mesh(environment, providers.of(environment).defaults)


def _spec(environment: Environment, cluster: str) -> ClusterSpec:
    return next(c for c in environment.clusters if c.name == cluster)


def _manifests(operator: Manifest) -> list[Manifest]:
    return istioctl.manifests(tools.ensure().istioctl, operator)
