"""Gateways: the way into each network, and the endpoint at which the host's serves remotes."""

import hashlib
import ipaddress
import json
from typing import Any

from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext

from isthmus import events, mesh_ca, polling, state
from isthmus.adapters import kube, readiness, tls
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, ISTIOD_SAN
from isthmus.errors import ClusterUnreachable, Rejected
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.step_results import Access, Done, GatewayAddress, IstiodEndpoint, changed
from tasks.install import host_manifests, remote_manifests
from tasks.policies import step


@step("expose host", of="host")
def expose_host(mesh: ResolvedEnvironment, host: Access, installed: Done) -> Done:
    """Let the host's gateway pass the control plane to remotes."""
    made = kube.connect(host).apply(mesh.expose_istiod_manifests(), mesh.environment.name)
    return changed(host.cluster, made)


@step("expose services")
def expose_services(mesh: ResolvedEnvironment, members: list[Access], wired: list[Done]) -> Done:
    """Let every gateway pass other networks' requests.

    Only after wiring: a gateway whose Service istiod 1.7 does not know yet is told to listen at
    443, where it may not.
    """
    made = [
        name
        for member in members
        for name in kube.connect(member).apply(
            mesh.expose_services_manifests(member.cluster), mesh.environment.name
        )
    ]
    return changed(members[0].cluster, made)


@step("open gateway", of="access")
def open_gateway(
    mesh: ResolvedEnvironment,
    access: Access,
    ready: object,
    endpoint: IstiodEndpoint | None = None,
) -> GatewayAddress:
    """Make the cluster's gateway run, and return the address at which others reach it."""
    client = kube.connect(access)
    wanted = (
        remote_manifests(mesh, access, endpoint.address)
        if endpoint
        else host_manifests(mesh, access)
    )
    last = [m for m in wanted if mesh.starts_last(m)]
    if made := client.apply(last, mesh.environment.name):
        events.report_progress(changed(access.cluster, made).found)
    gateway = mesh.stack.gateway
    address = readiness.await_address(client, gateway.name, ISTIO_NAMESPACE)
    if not gateway.hostnames:
        _refuse_hostname(mesh.environment, access, address)
    readiness.await_deployment(client, gateway.name, ISTIO_NAMESPACE)
    every = tuple(readiness.current_addresses(client, gateway.name, ISTIO_NAMESPACE))
    return GatewayAddress(
        cluster=access.cluster, address=address, port=gateway.port, addresses=every
    )


def _refuse_hostname(environment: Environment, access: Access, address: str) -> None:
    """Refuse what istiod 1.7 would pass over in silence (pilot/pkg/xds/ep_filters.go)."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        hint = "give the gateway's Service a fixed IP (`overlays`: k8s.service.loadBalancerIP)"
        raise Rejected(
            f"its load balancer has a host name, {address}, and stack {environment.stack} takes "
            "an IP address only",
            cluster=access.cluster,
            hint=f"{hint}, or take another stack",
        ) from None


def endpoint_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Name an endpoint by the host's very identity and all that its control plane is made from."""
    mesh, host = parameters["mesh"], parameters["host"]
    text = json.dumps(mesh.host_operator(), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    # The class is in it, too: a result that an older release kept might not load.
    kind = f"{IstiodEndpoint.__module__}.{IstiodEndpoint.__qualname__}"
    return f"istiod-remote-endpoint/{host.uid}/{kind}-{digest}"


@step(
    "find istiod remote endpoint",
    of="host",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=endpoint_key),
    persist_result=True,
    result_serializer="json",
)
def find_istiod_endpoint(mesh: ResolvedEnvironment, host: Access) -> IstiodEndpoint:
    """Return where remotes reach the host's control plane, as its load balancer says."""
    gateway = mesh.stack.gateway.name
    address = readiness.await_address(kube.connect(host), gateway, ISTIO_NAMESPACE)
    return IstiodEndpoint(cluster=host.cluster, address=address)


@step("check istiod remote endpoint", of="host", looks=True)
def check_endpoint(
    mesh: ResolvedEnvironment, host: Access, opened: GatewayAddress, exposed: Done
) -> IstiodEndpoint:
    """Return the endpoint once a TLS handshake there ends at istiod, certified by our root."""
    remembered = find_istiod_endpoint(mesh, host)
    if remembered.address != opened.address:
        remembered = find_istiod_endpoint.with_options(refresh_cache=True)(mesh, host)
    root = mesh_ca.ensure_root_certificate(state.folder(mesh.environment.name) / "ca")
    last = ""

    def answers() -> bool | None:
        nonlocal last
        last = tls.handshake(remembered.address, remembered.port, ISTIOD_SAN, root)
        return None if last else True

    polling.until(
        answers,
        f"a TLS handshake with istiod at {remembered.found}",
        timeout=polling.timeouts().answer,
        cluster=host.cluster,
        seen=lambda: last,
        error=ClusterUnreachable,
    )
    return remembered
