"""Pods and Deployments: which are selected, which are ready, and what they say if they are not."""

from collections.abc import Iterable, Iterator

from isthmus.diagnosis.fields import conditions, dig, mappings, pairs
from isthmus.diagnosis.objects import (
    is_ending,
    is_ready,
    labels_of,
    listed,
    name_of,
    namespace_of,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object

STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Why a container waits that has not been tried yet (k8s.io/kubernetes pkg/kubelet)."""
ENDED = frozenset({"Succeeded", "Failed"})
WORDS = 300
"""Characters that are kept of what a cluster says."""


def selected(cluster: ClusterSnapshot, namespace: str, labels: dict[str, str]) -> list[Object]:
    """Return the pods of a namespace that a Service's selector selects and that have not ended."""
    return [pod for pod in alive(cluster, namespace) if labels.items() <= labels_of(pod).items()]


def alive(cluster: ClusterSnapshot, namespace: str | None = None) -> list[Object]:
    """Return the pods that neither are being deleted nor have ended."""
    found = listed(cluster, "Pod", namespace)
    return [p for p in found if not is_ending(p) and dig(p, "status", "phase") not in ENDED]


def ready(pods: Iterable[Object]) -> list[Object]:
    """Return the Ready ones."""
    return [pod for pod in pods if is_ready(pod)]


def statuses(pod: Object) -> Iterator[Object]:
    """Yield the statuses of a pod's containers, native sidecars first."""
    yield from mappings(dig(pod, "status", "initContainerStatuses"))
    yield from mappings(dig(pod, "status", "containerStatuses"))


def complaint(pod: Object) -> str:
    """Say in the cluster's words why a pod is not Ready; empty if it says nothing."""
    said = [*_unscheduled(pod), *(w for status in statuses(pod) for w in _waiting(status))]
    if said:
        return said[0][:WORDS]
    asked = [str(s.get("name")) for s in statuses(pod) if s.get("ready") is False]
    phase = str(dig(pod, "status", "phase") or "")
    reason = str(dig(pod, "status", "reason") or "")
    not_ready = f"containers not ready: {', '.join(asked)}" if asked else ""
    return ", ".join(filter(None, (reason or phase, not_ready)))[:WORDS]


def _unscheduled(pod: Object) -> Iterator[str]:
    told = conditions(pod).get("PodScheduled", {})
    if told.get("status") == "False":
        yield f"{told.get('reason', 'not scheduled')}: {told.get('message', '')}"


def _waiting(status: Object) -> Iterator[str]:
    waiting = dig(status, "state", "waiting")
    last = dig(status, "lastState", "terminated")
    if not isinstance(waiting, dict) or waiting.get("reason") in STARTING:
        return
    said = f"{status.get('name')}: {waiting.get('reason')}: {waiting.get('message', '')}"
    if isinstance(last, dict):
        said += f" (ended with exit code {last.get('exitCode')}, {last.get('reason')})"
    yield said


def waiting_reasons(pods: Iterable[Object]) -> set[str]:
    """Return the reasons for which containers of these pods wait, such as CrashLoopBackOff."""
    found = (dig(s, "state", "waiting", "reason") for pod in pods for s in statuses(pod))
    return {str(reason) for reason in found if reason and reason not in STARTING}


def is_unschedulable(pod: Object) -> bool:
    """Tell whether no node takes a pod."""
    return conditions(pod).get("PodScheduled", {}).get("status") == "False"


def deployments_of(
    cluster: ClusterSnapshot, namespace: str, labels: dict[str, str]
) -> list[Object]:
    """Return the Deployments whose pods a Service with this selector selects."""
    found = listed(cluster, "Deployment", namespace)
    return [d for d in found if labels and labels.items() <= template_labels(d).items()]


def template_labels(deployment: Object) -> dict[str, str]:
    """Return the labels that a Deployment's pods get."""
    return pairs(dig(deployment, "spec", "template", "metadata", "labels"))


def owner_of(cluster: ClusterSnapshot, pod: Object) -> Object | None:
    """Return the Deployment that a pod is of."""
    for deployment in listed(cluster, "Deployment", namespace_of(pod)):
        wanted = pairs(dig(deployment, "spec", "selector", "matchLabels"))
        if wanted and wanted.items() <= labels_of(pod).items():
            return deployment
    return None


def replicas(deployment: Object) -> int:
    """Return how many pods a Deployment wants; 1 if it does not say so (apps/v1)."""
    wanted = dig(deployment, "spec", "replicas")
    return wanted if isinstance(wanted, int) else 1


def refusal(deployment: Object) -> str:
    """Return what the API server says of pods that it refuses: quota, policies, webhooks."""
    told = conditions(deployment).get("ReplicaFailure", {})
    return str(told.get("message", ""))[:WORDS] if told.get("status") == "True" else ""


def restart(cluster: ClusterSnapshot, pod: Object) -> str:
    """Return the kubectl words that replace a pod, by its Deployment if it has one."""
    space, owner = namespace_of(pod), owner_of(cluster, pod)
    if owner:
        return f"-n {space} rollout restart deployment/{name_of(owner)}"
    return f"-n {space} delete pod {name_of(pod)}"
