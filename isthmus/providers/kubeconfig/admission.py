"""Whether an API server would take the pods that the mesh will make: asked by dry run.

Source: dryRun=All of the Kubernetes API, which runs every admission controller and webhook.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from isthmus import images
from isthmus.adapters import pod_failures
from isthmus.adapters.diff import LABEL, Manifest
from isthmus.adapters.kube import Kube
from isthmus.environment import ClusterSpec, Environment, Images
from isthmus.errors import Rejected, Unprepared
from isthmus.providers.kubeconfig import requirements
from isthmus.providers.kubeconfig.conflicts import SPACES
from isthmus.providers.kubeconfig.inspection import SYSTEM
from isthmus.render import render


def try_pods(environment: Environment, cluster: ClusterSpec, client: Kube, space: str) -> None:
    """Have the API server look at the pods that are to run in a namespace, and make none.

    Raises Unprepared, in its words, if it would refuse one for good. Where some of ours are, they
    were let in, and count in its quotas.
    """
    if client.objects("Deployment", space, "apps/v1", f"{LABEL}={environment.name}"):
        return
    with told(client, [space] if space in SPACES else SPACES):
        for manifest in _tried(environment, cluster, space):
            client.would_take(manifest)


def _tried(environment: Environment, cluster: ClusterSpec, space: str) -> list[Manifest]:
    """Return the control plane's pods for its own namespace, else one with a sidecar.

    Only there: policies tend to spare istio-system by its name, so that no other stands for it.
    """
    chosen, wanted = images.chosen(environment, Images()), requirements.requests(environment)
    proxy = images.of_istio(chosen, "proxyv2")
    if space == SYSTEM:
        istiod = images.of_istio(chosen, "pilot")
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
def told(client: Kube, spaces: Sequence[str] = SPACES) -> Iterator[None]:
    """Say in the cluster's words why it takes none such, and what to do for these namespaces."""
    try:
        yield
    except Rejected as error:
        if failure := pod_failures.of_refusal(error.message, ", ".join(spaces)):
            text = f"pods like the mesh's may not run in it: {failure.said}"
            raise Unprepared(text, cluster=client.access.cluster, hint=failure.hint) from None
        raise
