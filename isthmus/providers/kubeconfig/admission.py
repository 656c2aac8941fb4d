"""Whether an API server would take the pods that the mesh will make: asked by dry run.

Source: dryRun=All of the Kubernetes API, which runs every admission controller and webhook.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from isthmus import images
from isthmus.adapters import pod_failures
from isthmus.adapters.diff import ENVIRONMENT_LABEL, Manifest
from isthmus.adapters.kube import Kube
from isthmus.environment import ClusterSpec, Environment, Images
from isthmus.environment.namespaces import ISTIO_NAMESPACE, MESH_NAMESPACES
from isthmus.errors import Rejected, Unprepared
from isthmus.providers.kubeconfig import requirements
from isthmus.render import render


def dry_run_pods(environment: Environment, cluster: ClusterSpec, client: Kube, space: str) -> None:
    """Have the API server look at the pods that are to run in a namespace, and make none.

    Raises Unprepared, in its words, if it would refuse one for good. Where some of ours are, they
    were let in, and count in its quotas.
    """
    if client.objects("Deployment", space, "apps/v1", f"{ENVIRONMENT_LABEL}={environment.name}"):
        return
    with explain_rejection(client, [space] if space in MESH_NAMESPACES else MESH_NAMESPACES):
        for manifest in _dry_run_manifests(environment, cluster, space):
            client.dry_run_apply(manifest)


def _dry_run_manifests(
    environment: Environment, cluster: ClusterSpec, space: str
) -> list[Manifest]:
    """Return the control plane's pods for its own namespace, else one with a sidecar.

    Only there: policies tend to spare istio-system by its name, so that no other stands for it.
    """
    chosen, wanted = (
        images.select_images(environment, Images()),
        requirements.component_requests(environment),
    )
    proxy = images.istio_image(chosen, "proxyv2")
    if space == ISTIO_NAMESPACE:
        istiod = images.istio_image(chosen, "pilot")
        return render(
            "probe/control-plane.yaml.j2",
            space=space,
            istiod=istiod if requirements.runs_istiod(environment, cluster) else "",
            proxy=proxy,
            istiod_requests=wanted["istiod"],
            gateway_requests=wanted["gateway"],
        )
    if _has_cni(environment):
        return []  # it does what istio-init would need NET_ADMIN for
    return render("probe/injected.yaml.j2", space=space, proxy=proxy, requests=wanted["sidecar"])


def _has_cni(environment: Environment) -> bool:
    components = environment.overlays.host.get("components") or {}
    return bool((components.get("cni") or {}).get("enabled"))


@contextmanager
def explain_rejection(client: Kube, spaces: Sequence[str] = MESH_NAMESPACES) -> Iterator[None]:
    """Say in the cluster's words why it takes none such, and what to do for these namespaces."""
    try:
        yield
    except Rejected as error:
        if failure := pod_failures.admission_failure(error.message, ", ".join(spaces)):
            text = f"its admission control rejects pods like the mesh's: {failure.message}"
            raise Unprepared(text, cluster=client.access.cluster, hint=failure.hint) from None
        raise
