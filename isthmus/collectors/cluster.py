"""One cluster: its objects masked, its secrets as facts, a dry run, its kubelets."""

from collections.abc import Callable
from functools import partial
from typing import Any

from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.collectors import admission, istiod, proxies, questions, secrets
from isthmus.diagnosis.masking import mask
from isthmus.diagnosis.objects import listed
from isthmus.diagnosis.services import MeshService
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object
from isthmus.environment import ClusterSpec, Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.errors import IsthmusError
from isthmus.stacks import Stack, load
from isthmus.verification.answers import HOST

NETWORKING = (
    "Gateway",
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "WorkloadEntry",
    "Sidecar",
)
SECURITY = ("PeerAuthentication", "AuthorizationPolicy", "RequestAuthentication")
KUBEFED = ("FederatedNamespace", "FederatedSecret", "FederatedDeployment", "FederatedService")
EVERYWHERE = {
    "Namespace": "v1",
    "Node": "v1",
    "Pod": "v1",
    "Service": "v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Deployment": "apps/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ServiceCIDR": "networking.k8s.io/v1",
    "ResourceQuota": "v1",
    "LimitRange": "v1",
}
"""Kinds of which all objects are read, with their API versions."""
LEASES, LEASE_API = ("kube-system", "kube-node-lease"), "coordination.k8s.io/v1"
"""Where the control plane's programs and the kubelets tell that they are alive."""
THOROUGH = ("proxies", "admission", "kubelets")
"""Questions that take seconds."""


def collect(
    client: Kube,
    spec: ClusterSpec,
    environment: Environment,
    server: str,
    *,
    host: bool,
    proxies: bool = True,
) -> ClusterSnapshot:
    """Return all that one cluster tells; one that gives no answer at all is told of, with why."""
    stack = load(environment.stack)
    known: dict[str, Any] = {
        "name": spec.name,
        "region": spec.region,
        "network": spec.network,
        "host": host,
        "server": server,
    }
    try:
        known |= {"version": client.version(), "uid": client.uid()}
    except IsthmusError as error:
        said = f"{error.message}; {error.hint}" if error.hint else error.message
        return ClusterSnapshot(**known, reachable=False, unreachable_reason=said)
    objects, errors = _objects(client, stack, host)
    seen = ClusterSnapshot(**known, objects=objects, errors=errors)
    return _asked(client, seen, environment, proxies)


def _objects(
    client: Kube, stack: Stack, host: bool
) -> tuple[dict[str, list[Object]], dict[str, str]]:
    kinds = dict(EVERYWHERE)
    kinds |= dict.fromkeys(NETWORKING, stack.networking)
    kinds["EnvoyFilter"] = "networking.istio.io/v1alpha3"  # it has no later version
    kinds |= dict.fromkeys(SECURITY, "security.istio.io/v1beta1")
    if host:
        kinds |= {"KubeFedCluster": "core.kubefed.io/v1beta1"}
        kinds |= dict.fromkeys(KUBEFED, "types.kubefed.io/v1beta1")
    wanted: dict[str, Callable[[], list[Manifest]]] = {
        f"list {kind}": partial(client.objects, kind, api=api) for kind, api in kinds.items()
    }
    for space in LEASES:
        wanted[f"list Lease in {space}"] = partial(client.objects, "Lease", space, LEASE_API)
    for space in (ISTIO_NAMESPACE, SAMPLE_NAMESPACE):
        wanted[f"list Event in {space}"] = partial(client.objects, "Event", space)
    wanted["list ConfigMap istio"] = partial(_config_maps, client)
    wanted["list istiod Endpoints"] = partial(_endpoints, client)
    found, errors = questions.ask(wanted)
    objects: dict[str, list[Object]] = {}
    for items in found.values():
        for item in items:
            objects.setdefault(item["kind"], []).append(mask(item))
    listed_kinds = {what.split(" ")[1] for what in found if what.startswith("list ")}
    for kind in listed_kinds - {"istiod"}:
        objects.setdefault(kind, [])
    return objects, errors


def _config_maps(client: Kube) -> list[Manifest]:
    roots = client.named("ConfigMap", "istio-ca-root-cert")
    config = client.get("ConfigMap", "istio", ISTIO_NAMESPACE)
    made = {"apiVersion": "v1", "kind": "ConfigMap"}
    return [*roots, {**made, **config}] if config else roots


def _endpoints(client: Kube) -> list[Manifest]:
    names = ("istiod", "istiod-remote")
    found = [client.get("Endpoints", name, ISTIO_NAMESPACE) for name in names]
    return [{"apiVersion": "v1", "kind": "Endpoints", **e} for e in found if e]


def hosts(environment: Environment) -> frozenset[str]:
    """Return the names of the services that are looked at: the sample, and the users' own."""
    own = (MeshService(*spec.name.split("/")) for spec in environment.verification.services)
    return frozenset({HOST, *(service.host for service in own)})


def _asked(
    client: Kube, seen: ClusterSnapshot, environment: Environment, every: bool
) -> ClusterSnapshot:
    host, stack = hosts(environment), load(environment.stack)
    gateway = stack.gateway.selector
    wanted: dict[str, Callable[[], Any]] = {
        "cacerts": partial(secrets.cacerts, client),
        "proxies": partial(proxies.collect, client, gateway, listed(seen, "Pod"), host),
        "admission": partial(admission.dry_runs, client, seen),
        "kubelets": partial(admission.kubelet_errors, client, seen),
    }
    if seen.host:
        wanted["remote secrets"] = partial(secrets.remote_secrets, client)
    if not every:
        wanted = {what: ask for what, ask in wanted.items() if what not in THOROUGH}
    elif seen.host or stack.istiod_in_remotes:
        wanted["istiod"] = partial(istiod.collect, client, host)
    found, errors = questions.ask(wanted)
    proxies_found, left_out = found.get("proxies") or ([], 0)
    return seen.model_copy(
        update={
            "cacerts": found.get("cacerts"),
            "remote_secrets": found.get("remote secrets") or [],
            "istiods": found.get("istiod") or [],
            "proxies": proxies_found,
            "proxies_left_out": left_out,
            "admission": found.get("admission") or [],
            "kubelet_errors": found.get("kubelets") or [],
            "errors": {**seen.errors, **errors},
        }
    )
