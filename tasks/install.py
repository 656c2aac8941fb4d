"""The mesh's control plane in the host, and what remotes need to be served by it."""

from isthmus import binaries, mesh_ca, state
from isthmus.adapters import istioctl, kube, readiness
from isthmus.adapters.diff import Manifest
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.render import merge
from isthmus.step_results import Access, Done, IstiodEndpoint, changed
from tasks.policies import step

NETWORKING_KINDS = ("Gateway", "VirtualService")
FIRST_PARTY = {"spec": {"values": {"global": {"jwtPolicy": "first-party-jwt"}}}}
"""What `istioctl install` falls back on, and `manifest generate` cannot know to."""


@step("install host", of="host")
def install_host(mesh: ResolvedEnvironment, host: Access, prepared: Done) -> Done:
    """Make the control plane run in the host; its gateway has an address but no pod yet."""
    client = kube.connect(host)
    made = _apply(client, mesh, host_manifests(mesh, host))
    readiness.await_deployment(client, "istiod", ISTIO_NAMESPACE)
    return changed(host.cluster, made)


@step("install remote", of="remote")
def install_remote(
    mesh: ResolvedEnvironment, remote: Access, endpoint: IstiodEndpoint, cacerts: Done
) -> Done:
    """Make a remote look to the host's control plane; its gateway has an address but no pod yet."""
    client = kube.connect(remote)
    made = _apply(client, mesh, remote_manifests(mesh, remote, endpoint.address))
    if mesh.stack.istiod_in_remotes:
        readiness.await_deployment(client, "istiod", ISTIO_NAMESPACE)
    return changed(remote.cluster, made)


def host_manifests(mesh: ResolvedEnvironment, host: Access) -> list[Manifest]:
    """Return everything of Istio that the host gets."""
    return _manifests(mesh, mesh.host_operator(), host)


def remote_manifests(mesh: ResolvedEnvironment, remote: Access, endpoint: str) -> list[Manifest]:
    """Return everything of Istio that a remote gets."""
    cluster = mesh.environment.cluster(remote.cluster)
    return _manifests(mesh, mesh.remote_operator(cluster, endpoint), remote)


def _apply(client: kube.Kube, mesh: ResolvedEnvironment, manifests: list[Manifest]) -> list[str]:
    """Make all of it true but what starts last; kinds that it defines itself come after that."""
    api = mesh.stack.networking
    wanted = [m for m in manifests if not mesh.starts_last(m)]
    owner = mesh.environment.name
    made = client.apply((m for m in wanted if m["apiVersion"] != api), owner)
    own = [m for m in wanted if m["apiVersion"] == api]
    if made:
        readiness.await_served(client, api, {*NETWORKING_KINDS, *(m["kind"] for m in own)})
    return made + client.apply(own, owner)


def _manifests(mesh: ResolvedEnvironment, operator: Manifest, access: Access) -> list[Manifest]:
    if mesh.stack.old_tokens and not kube.connect(access).issues_tokens():
        operator = merge(operator, FIRST_PARTY)
    if not mesh.stack.rereads_cacerts:
        operator = merge(operator, _restart_overlay(mesh.environment, access.cluster))
    return istioctl.manifests(binaries.ensure(mesh.environment, "istioctl"), operator)


def _restart_overlay(environment: Environment, cluster: str) -> Manifest:
    """Return what starts a new istiod, before the old one ends, after a renewed intermediate."""
    mark = mesh_ca.fingerprint(state.folder(environment.name) / "ca", cluster)
    annotations = {"podAnnotations": {"isthmus/intermediate": mark}}
    return {"spec": {"components": {"pilot": {"k8s": annotations}}}}
