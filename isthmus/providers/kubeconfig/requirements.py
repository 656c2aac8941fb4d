"""What a mesh will ask of a cluster, as far as it is known before anything is rendered; pure."""

from typing import Any

from isthmus.environment import ClusterSpec, Environment
from isthmus.environment import ResourceRequests as Wanted
from isthmus.providers.kubeconfig.capacity import ResourceTotals, parse_resources
from isthmus.stacks import load

ISTIOD = Wanted(cpu="500m", memory="2Gi")
PROXY = Wanted(cpu="100m", memory="128Mi")
"""Istio's own requests, the same in every stack (manifests/charts, values `resources`)."""
KUBEFED = parse_resources({"cpu": "10m", "memory": "64Mi"})
"""Each of KubeFed's two pods (isthmus/istio_manifests.py, kubefed_values)."""
ISTIOD_PORT, WEBHOOK_PORT = 15012, 15017
"""Where remotes come to the host's gateway for istiod; its injector too if they have none."""


def requests_per_pod(environment: Environment, cluster: ClusterSpec) -> list[ResourceTotals]:
    """Return what each pod of the mesh will request in a cluster, the sample's two included."""
    each = {
        part: parse_resources(wanted) for part, wanted in component_requests(environment).items()
    }
    found = [each["gateway"], each["sidecar"], each["sidecar"]]
    if runs_istiod(environment, cluster):
        found.append(each["istiod"])
    if cluster == environment.host:
        found += [KUBEFED, KUBEFED] if environment.federation == "kubefed" else []
    return found


def component_requests(environment: Environment) -> dict[str, dict[str, str]]:
    """Return what each part of Istio will request, as Kubernetes has it."""
    wanted = environment.resources
    chosen = {
        "istiod": wanted.istiod.with_defaults(ISTIOD),
        "gateway": wanted.gateway.with_defaults(PROXY),
        "sidecar": wanted.sidecar.with_defaults(PROXY),
    }
    return {part: {"cpu": a.cpu or "0", "memory": a.memory or "0"} for part, a in chosen.items()}


def runs_istiod(environment: Environment, cluster: ClusterSpec) -> bool:
    """Tell whether a cluster is to run an istiod."""
    return cluster == environment.host or load(environment.stack).istiod_in_remotes


def load_balancer_settings(
    environment: Environment, cluster: ClusterSpec
) -> tuple[dict[str, str], Any]:
    """Return the annotations and the fields that an overlay gives the gateway's Service.

    They say to many clouds which load balancer it is to be: the probe must get the same.
    """
    role = "host" if cluster == environment.host else "remote"
    overlay = getattr(environment.overlays, role)
    gateways = (overlay.get("components") or {}).get("ingressGateways") or []
    name = load(environment.stack).gateway.name
    own = next((g.get("k8s") or {} for g in gateways if g.get("name") == name), {})
    fields = {k: v for k, v in (own.get("service") or {}).items() if k.startswith("loadBalancer")}
    return own.get("serviceAnnotations") or {}, fields


def ports(environment: Environment, cluster: ClusterSpec) -> dict[str, int]:
    """Return the ports at which other clusters reach a cluster's gateway, by name."""
    stack = load(environment.stack)
    found = {"tls": stack.gateway.port}
    if cluster == environment.host:
        found["tls-istiod"] = ISTIOD_PORT
        found |= {} if stack.istiod_in_remotes else {"tls-webhook": WEBHOOK_PORT}
    return found
