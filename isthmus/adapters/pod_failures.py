"""Why pods will not run however long one waits: what the cluster says, and what a person can do.

Pure: conditions and statuses in, a reason out. What may pass by itself (a registry that is away, a
node that starts, a webhook of our own that is not up yet) is none. Nor is a volume whose ConfigMap
is not there, as istiod makes them a moment later, nor a program that ends and is started again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.adapters import unschedulable
from isthmus.adapters.diff import Manifest


@dataclass(frozen=True)
class PodFailure:
    """What the cluster says, in its words, and what to do about it."""

    message: str
    hint: str
    pod: Manifest | None = None
    """The pod that no node takes, if that is it: nodes and autoscalers have a say then."""


PATTERNS = {
    r"exceeded quota|failed quota": "raise the ResourceQuota of the namespace, or set `resources`, "
    "and `pods` for the sample, in the environment file: "
    "kubectl describe resourcequota -n NAMESPACE",
    r"violates PodSecurity": "let NAMESPACE run such pods, istio-init needs NET_ADMIN: in the "
    "environment file, namespaces: {labels: {pod-security.kubernetes.io/enforce: privileged}}",
    r"admission webhook .* denied|ValidatingAdmissionPolicy|denied request": "ask whoever keeps "
    "that policy for an exception for the namespace, or change what it objects to by `overlays`, "
    "and by `pods` for the sample",
    r"failed calling webhook .*service .* not found": "that webhook's Service is gone: restore it, "
    "or delete its webhook configuration: kubectl get mutatingwebhookconfigurations,"
    "validatingwebhookconfigurations",
    r"(maximum|minimum) (cpu|memory) usage per|LimitRange": "set `resources`, and `pods` "
    "for the sample, within the namespace's LimitRange: kubectl describe limitrange -n NAMESPACE",
}
"""Refusals of a pod (k8s.io/apiserver pkg/admission, k8s.io/pod-security-admission)."""
MESH_WEBHOOKS = re.compile(r"webhook \"[^\"]*\.(istio|kubefed)\.io\"")
"""Webhooks that the mesh itself brings: while they start, they refuse, and it passes."""
IMAGE = re.compile(
    r"not found|manifest unknown|unauthorized|denied|forbidden|no basic auth|\b(401|403|404)\b",
    re.I,
)
REGISTRY_UNREACHABLE = re.compile(
    r"timeout|timed out|refused|reset|misbehaving|no such host|EOF|handshake|no route|\b5\d\d\b",
    re.I,
)
"""What is said of an image that was not asked for in vain: its registry is away."""
NEVER = ("ErrImageNeverPull", "InvalidImageName")
PULLING = ("ErrImagePull", "ImagePullBackOff")
CONFIGURED = re.compile(r"(secret|configmap) \".*\" not found|couldn't find key|runAsNonRoot", re.I)
"""What a container cannot be made from (k8s.io/kubernetes pkg/kubelet/kubelet_pods.go)."""
STARTED = re.compile(
    r"no command specified|executable file not found|exec format error"
    r"|exec: \".*\": (permission denied|stat .*no such file)|not a shared (or slave )?mount",
    re.I,
)
"""Why a container's program cannot be started (containerd, runc); what else they say may pass."""
NOT_MADE = {
    "CreateContainerConfigError": (
        CONFIGURED,
        "make what it names, or take it out of `overlays`: "
        "kubectl get secrets,configmaps -n NAMESPACE",
    ),
    "CreateContainerError": (STARTED, "is {image} made for these nodes? {images}"),
    "RunContainerError": (STARTED, "is {image} made for these nodes? {images}"),
    "StartError": (STARTED, "is {image} made for these nodes? {images}"),
}
"""Reason of a container that waits, or of its last end -> what of it stays, and what to do."""
IMAGES = "see `images` in docs/images.md: another registry, pull secrets, archives"


def deployment_failure(deployment: Manifest, pods: Iterable[Manifest]) -> PodFailure | None:
    """Return why a Deployment's pods are not made or do not run, if time will not mend it."""
    namespace = deployment["metadata"].get("namespace", "")
    found = [admission_failure(said, namespace) for said in _refusals(deployment)]
    found += [pod_failure(pod) for pod in pods]
    return next(filter(None, found), None)


def pod_failure(pod: Manifest) -> PodFailure | None:
    """Return why a pod does not run, if time will not mend it."""
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    waits = [(c, c["state"]["waiting"]) for c in containers if "waiting" in c.get("state", {})]
    found = [_of_image(container, waiting) for container, waiting in waits]
    namespace = pod.get("metadata", {}).get("namespace", "")
    found += [_of_start(c, told, namespace) for c, waiting in waits for told in _tells(c, waiting)]
    found += [_of_scheduling(pod, c) for c in status.get("conditions", [])]
    return next(filter(None, found), None)


def is_blocked_by_mesh_webhook(deployment: Manifest) -> bool:
    """Tell whether its pods were refused because a webhook of the mesh's own was not up yet."""
    return any(map(MESH_WEBHOOKS.search, _refusals(deployment)))


def admission_failure(said: str, namespace: str) -> PodFailure | None:
    """Return why an API server takes no such pod, if time will not mend it."""
    if MESH_WEBHOOKS.search(said):
        return None
    for pattern, hint in PATTERNS.items():
        if re.search(pattern, said):
            return PodFailure(said, hint.replace("NAMESPACE", namespace))
    return None


def _refusals(deployment: Manifest) -> list[str]:
    """Return what the API server said of pods that it did not take."""
    conditions = deployment.get("status", {}).get("conditions", [])
    refused = [c for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"]
    return [c.get("message", "") for c in refused]


def _of_image(container: Mapping[str, Any], waiting: Mapping[str, Any]) -> PodFailure | None:
    reason, said = waiting.get("reason", ""), waiting.get("message", "")
    refused = IMAGE.search(said) and not REGISTRY_UNREACHABLE.search(said)
    if reason not in NEVER and not (reason in PULLING and refused):
        return None
    image = container.get("image", "")
    hint = f"can the nodes pull {image}? {IMAGES}"
    return PodFailure(f"{container.get('name')}: {reason}: {said or image}", hint)


def _tells(container: Mapping[str, Any], waiting: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return all that says why a container did not start: it is tried again at growing intervals.

    Meanwhile it waits for nothing but the next time, and its last end tells.
    """
    last = container.get("lastState", {}).get("terminated")
    return [waiting, last] if last else [waiting]


def _of_start(
    container: Mapping[str, Any], told: Mapping[str, Any], namespace: str
) -> PodFailure | None:
    reason, said = told.get("reason", ""), told.get("message", "")
    pattern, hint = NOT_MADE.get(reason, (None, ""))
    if pattern is None or not pattern.search(said):
        return None
    image = container.get("image", "")
    hint = hint.format(image=image, images=IMAGES).replace("NAMESPACE", namespace)
    return PodFailure(f"{container.get('name')}: {reason}: {said}", hint)


def _of_scheduling(pod: Manifest, condition: Mapping[str, Any]) -> PodFailure | None:
    said = condition.get("message", "")
    if condition["type"] != "PodScheduled" or condition.get("reason") != "Unschedulable":
        return None
    hint = unschedulable.hint(said)
    return PodFailure(said, hint, pod) if hint else None
