"""What only the API server can tell: whether it takes a pod, and whether it reaches kubelets."""

from collections.abc import Callable
from typing import Any, TypeVar

from isthmus import polling
from isthmus.adapters.kube import Kube
from isthmus.adapters.pod_exec import KubeletUnreachable
from isthmus.diagnosis.objects import is_ready, listed, name_of, namespace_of
from isthmus.diagnosis.snapshot import AdmissionResult, ClusterSnapshot, Object
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.errors import ClusterUnreachable, IsthmusError, Rejected

T = TypeVar("T")
PATIENT_SECONDS = 11.0
"""One more than an API server gives the injector and a kubelet, whose failing it then tells (istio
manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml, timeoutSeconds;
k8s.io/kubernetes pkg/kubelet/client)."""
DRY_RUN_IMAGE = "isthmus.invalid/diagnose:none"
"""Never pulled: the pod is not made."""


def dry_runs(client: Kube, seen: ClusterSnapshot) -> list[AdmissionResult]:
    """Return what becomes of a pod in each namespace of the mesh that Isthmus has made."""
    spaces = [SAMPLE_NAMESPACE] if _exists(seen, SAMPLE_NAMESPACE) else []
    return [_dry_run(client, space) for space in spaces]


def _patiently(ask: Callable[..., T], *given: Any) -> T:
    """Ask with a limit by which the API server has found out that somebody else does not answer."""
    patient = polling.timeouts().model_copy(update={"request": PATIENT_SECONDS})
    with polling.use_timeouts(patient):
        return ask(*given)


def _exists(seen: ClusterSnapshot, name: str) -> bool:
    return any(name_of(space) == name for space in listed(seen, "Namespace"))


def _pod(client: Kube, namespace: str) -> tuple[dict[str, str], Object]:
    """Return labels and spec of a pod like the caller: what a policy lets through of that.

    A policy may refuse any other image, or a pod without limits.
    """
    caller = client.get("Deployment", "sleep", namespace, "apps/v1") or {}
    template = caller.get("spec", {}).get("template", {})
    spec = template.get("spec") or {"containers": [{"name": "diagnose", "image": DRY_RUN_IMAGE}]}
    return template.get("metadata", {}).get("labels") or {}, spec


def _dry_run(client: Kube, namespace: str) -> AdmissionResult:
    labels, spec = _pod(client, namespace)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "isthmus-diagnose-", "namespace": namespace, "labels": labels},
        "spec": spec,
    }
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    try:
        made = _patiently(client.request, "POST", path, pod)
    except Rejected as error:
        return AdmissionResult(namespace=namespace, message=error.message, status=403)
    except IsthmusError as error:
        return AdmissionResult(namespace=namespace, message=error.message, status=500)
    spec = made["spec"]
    every = [*(spec.get("initContainers") or []), *spec["containers"]]
    injected = any(c["name"] == "istio-proxy" for c in every)
    return AdmissionResult(namespace=namespace, allowed=True, injected=injected, status=201)


def _ask_kubelets(client: Kube, seen: ClusterSnapshot) -> list[str]:
    nodes: dict[str, Object] = {}
    for pod in listed(seen, "Pod"):
        if is_ready(pod) and namespace_of(pod) in (ISTIO_NAMESPACE, SAMPLE_NAMESPACE):
            nodes.setdefault(str(pod["spec"].get("nodeName")), pod)
    said = []
    for pod in nodes.values():
        container = pod["spec"]["containers"][0]["name"]
        try:
            client.execute(name_of(pod), namespace_of(pod), container, ["/bin/true"])
        except KubeletUnreachable as error:
            said.append(f"{error.message}; {error.hint}")
        except ClusterUnreachable as error:
            said.append(f"{error.message}, while the API server answers all else")
        except IsthmusError:
            continue  # the container has no such program, or the account may not: that is no news
    return said


def kubelet_errors(client: Kube, seen: ClusterSnapshot) -> list[str]:
    """Return what is said of kubelets that the API server does not reach; a node is asked once."""
    return _patiently(_ask_kubelets, client, seen)
