"""The stages of the story. Each starts its steps and returns what later ones wait for."""

from dataclasses import dataclass
from typing import Any

from flows.step_runner import StepRunner
from isthmus.environment import Environment
from isthmus.istio_manifests import ResolvedEnvironment
from tasks import clusters as cluster_tasks
from tasks import decommission as decommission_tasks
from tasks import federation as federation_tasks
from tasks import gateways as gateway_tasks
from tasks import install as install_tasks
from tasks import remote_secrets as remote_secret_tasks
from tasks import sample as sample_tasks
from tasks import teardown as teardown_tasks
from tasks import verify as verify_tasks

Future = Any
"""A Prefect future; its type parameters differ from step to step."""


@dataclass(frozen=True)
class FederationFutures:
    """What later stages need of the federation."""

    prepared: Future
    namespace: Future
    cacerts: Future
    sample: Future


@dataclass(frozen=True)
class MeshFutures:
    """What later stages need of the mesh; lists are in the clusters' order."""

    injectors: list[Future]
    gateways: list[Future]
    exposed: Future


def create(start: StepRunner, environment: Environment, buy: bool) -> list[Future]:
    """Make or find every cluster, side by side."""
    prepared = start(cluster_tasks.prepare, environment, buy)
    create_cluster = cluster_tasks.create_cluster
    clusters = [start(create_cluster, environment, c, prepared) for c in environment.clusters]
    for cluster in clusters:
        start(cluster_tasks.await_nodes, cluster)
    return clusters


def decommission(
    start: StepRunner, environment: Environment, clusters: list[Future]
) -> list[Future]:
    """Let go of each cluster that the file has no longer, once no other one sends to it."""
    host = clusters[0]
    parted: list[Future] = []
    for removed in start.result(start(decommission_tasks.find_removed_clusters, environment, host)):
        secret_deleted = start(decommission_tasks.delete_remote_secret, environment, host, removed)
        endpoints_dropped = start(
            decommission_tasks.await_endpoint_removal,
            environment,
            clusters,
            removed,
            secret_deleted,
        )
        drained = start(decommission_tasks.drain, environment, removed, endpoints_dropped)
        left = start(decommission_tasks.leave_federation, environment, host, removed, drained)
        start(decommission_tasks.release_cluster, environment, removed, left)
        parted.append(left)
    return parted


def federate(
    start: StepRunner, mesh: ResolvedEnvironment, clusters: list[Future], parted: list[Future]
) -> FederationFutures:
    """Join all clusters, and give each istio-system and its part of the trust."""
    environment, host = mesh.environment, clusters[0]
    # A control plane that lists all networks must not lose one that is still asked.
    prepared = start(federation_tasks.create_host_namespace, environment, host, wait_for=parted)
    start(federation_tasks.merge_kubeconfigs, environment, clusters)
    # What KubeFed is to carry to a cluster no longer, it deletes there.
    joined: list[Future] = [*parted]
    if environment.has_console_federation:
        joined.append(start(federation_tasks.take_over, environment, host, clusters))
    elif environment.federation == "kubefed":
        kubefed = start(federation_tasks.install_federation, mesh, host)
        join = federation_tasks.join
        joined += [start(join, environment, host, c, kubefed) for c in clusters]
        joined.append(start(federation_tasks.start_federation, host, kubefed))
    space = start(
        federation_tasks.federate_namespace, environment, host, clusters, joined, prepared
    )
    cacerts = start(federation_tasks.federate_secret, environment, host, clusters, space)
    sample = start(federation_tasks.federate_sample, environment, host, clusters, joined)
    return FederationFutures(prepared, space, cacerts, sample)


def install(
    start: StepRunner,
    mesh: ResolvedEnvironment,
    clusters: list[Future],
    federation: FederationFutures,
) -> MeshFutures:
    """Install the host, then attach every remote to it, side by side."""
    host, *remotes = clusters
    control = start(install_tasks.install_host, mesh, host, federation.prepared)
    exposed = start(gateway_tasks.expose_host, mesh, host, control)
    gateway = start(gateway_tasks.open_gateway, mesh, host, control)
    endpoint = start(gateway_tasks.check_endpoint, mesh, host, gateway, exposed)
    injectors, gateways = [control], [gateway]
    for remote in remotes:
        attached = start(install_tasks.install_remote, mesh, remote, endpoint, federation.cacerts)
        wired = start(
            remote_secret_tasks.create_remote_secret, mesh.environment, host, remote, attached
        )
        injectors.append(wired)
        gateways.append(start(gateway_tasks.open_gateway, mesh, remote, wired, endpoint))
    services = start(gateway_tasks.expose_services, mesh, clusters, injectors)
    return MeshFutures(injectors, gateways, services)


def deploy(
    start: StepRunner,
    mesh: ResolvedEnvironment,
    clusters: list[Future],
    federation: FederationFutures,
    installed: MeshFutures,
) -> list[Future]:
    """Put the sample everywhere: a caller as soon as its cluster injects, helloworld in all."""
    callers = [
        start(sample_tasks.deploy_caller, mesh, cluster, federation.sample, injector)
        for cluster, injector in zip(clusters, installed.injectors, strict=True)
    ]
    hello = start(
        sample_tasks.deploy_sample,
        mesh,
        clusters[0],
        clusters,
        federation.sample,
        installed.injectors,
    )
    return [*callers, hello, installed.exposed]


def verify(
    start: StepRunner,
    environment: Environment,
    clusters: list[Future],
    gateways: list[Future],
    after: list[Future] | None = None,
) -> Future:
    """Let every region ask every other, and judge."""
    reported = start(
        verify_tasks.inspect_clusters, environment, clusters, gateways, wait_for=after or []
    )
    clients = [start(verify_tasks.verify_client, environment, c, reported) for c in clusters]
    views = [start(verify_tasks.inspect_gateway, environment, c, reported) for c in clusters]
    services: list[Future] = []
    if environment.verification.services:
        # A run without any need not wait for what looks at all objects of a cluster to be loaded.
        from tasks import services as service_tasks

        building = after is not None
        expected = start(service_tasks.inspect_services, environment, clusters, reported, building)
        verify_services = service_tasks.verify_services
        services = [start(verify_services, environment, c, reported, expected) for c in clusters]
    return start(verify_tasks.evaluate_mesh, environment, clients, views, services)


def find(start: StepRunner, environment: Environment) -> list[Future]:
    """Find clusters that must exist."""
    return [start(cluster_tasks.find_cluster, environment, c) for c in environment.clusters]


def find_gateways(
    start: StepRunner, environment: Environment, clusters: list[Future]
) -> list[Future]:
    """Find the gateways as they are now."""
    return [start(verify_tasks.find_gateway, environment, cluster) for cluster in clusters]


def uninstall(start: StepRunner, environment: Environment, anothers: bool) -> list[Future]:
    """Take out of clusters that stay what was put there, in the order that lets each part go."""
    host, *remotes = clusters = find(start, environment)
    start(teardown_tasks.check_owner, environment, clusters, anothers).result()
    removed = start.result(start(decommission_tasks.find_removed_clusters, environment, host))
    left: Future = None
    if environment.federation == "kubefed":
        federated = start(teardown_tasks.remove_federated_objects, environment, host)
        members = [
            start(teardown_tasks.leave_federation, environment, host, c, federated)
            for c in clusters
        ]
        leave = decommission_tasks.leave_federation
        members += [start(leave, environment, host, gone, federated) for gone in removed]
        left = start(teardown_tasks.remove_federation, environment, host, members)
    # The host first: as long as its istiod runs, it writes its trust into every remote again.
    gone = start(teardown_tasks.remove_objects, environment, host, left)
    others = [start(teardown_tasks.remove_objects, environment, r, gone) for r in remotes]
    others += [start(decommission_tasks.release_cluster, environment, c, gone) for c in removed]
    return [gone, *others]
