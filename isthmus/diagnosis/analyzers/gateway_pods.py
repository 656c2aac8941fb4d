"""The pods behind each gateway's address: is one ready, and if not, why."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig, mappings, pairs
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import (
    gateway_pods,
    own_service,
    shown,
    stack_of,
    warnings_about,
)
from isthmus.diagnosis.objects import (
    container,
    find,
    full_name,
    labels_of,
    listed,
    name_of,
    was_listed,
)
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
"""Why a container waits whose image is not there (k8s.io/kubernetes pkg/kubelet/images)."""
CORDONED = re.compile(r"were unschedulable|node\.kubernetes\.io/unschedulable")
"""What the scheduler says of a cordoned node (k8s.io/kubernetes pkg/scheduler)."""
NOT_INJECTED = "auto"
"""The image of a gateway's pod until the injector has put Istio's in its place (istio
manifests/charts/gateways/istio-ingress/templates/injected-deployment.yaml)."""


class _Reason(NamedTuple):
    """Why no pod is ready."""

    evidence: tuple[str, ...]
    cause: str
    fix: str
    certain: bool = True


@analyzer("F33", "No pod of a gateway is ready")
def no_ready_pod(snapshot: Snapshot) -> Iterator[Failure]:
    """Find gateways behind whose address nobody answers: every request is answered elsewhere."""
    for cluster in snapshot.clusters:
        if not was_listed(cluster, "Pod"):
            continue
        ready = pods.ready(gateway_pods(snapshot, cluster))
        found = _selects_nothing(snapshot, cluster, ready) if ready else _why(snapshot, cluster)
        if found:
            yield Failure(
                clusters=(cluster.name,),
                object=f"Deployment {ISTIO_NAMESPACE}/{stack_of(snapshot).gateway.name}",
                evidence=found.evidence,
                cause=found.cause,
                fix=found.fix,
                certain=found.certain,
            )


def _selects_nothing(
    snapshot: Snapshot, cluster: ClusterSnapshot, ready: list[Object]
) -> _Reason | None:
    service = own_service(snapshot, cluster)
    wanted = pairs(dig(service, "spec", "selector"))
    if service is None or any(wanted.items() <= labels_of(pod).items() for pod in ready):
        return None
    asked = shown([f"{k}={v}" for k, v in sorted(wanted.items())])
    has = shown([f"{k}={v}" for k, v in sorted(labels_of(ready[0]).items())], 8)
    return _Reason(
        (
            f"{cluster.name}: {full_name(service)} selects {asked}",
            f"the ready pod {name_of(ready[0])} has {has}",
        ),
        "the selector of the gateway's Service matches none of its ready pods",
        up(snapshot),
    )


def _why(snapshot: Snapshot, cluster: ClusterSnapshot) -> _Reason:
    name = stack_of(snapshot).gateway.name
    own = find(cluster, "Deployment", name, ISTIO_NAMESPACE)
    what = f"{cluster.name}: Deployment {ISTIO_NAMESPACE}/{name}"
    if own is None and was_listed(cluster, "Deployment"):
        return _Reason((f"{what} does not exist",), "it was deleted", up(snapshot))
    if own is not None and pods.replicas(own) == 0:
        scale = f"-n {ISTIO_NAMESPACE} scale deployment {name} --replicas=1"
        seen, cause = f"{what}: spec.replicas is 0", "it was scaled to 0"
        return _Reason((seen,), cause, kubectl(cluster.name, scale))
    if found := gateway_pods(snapshot, cluster):
        return _of_pods(snapshot, cluster, found)
    said = pods.refusal(own or {})
    told = warnings_about(cluster, "ReplicaSet", f"{re.escape(name)}-.*")
    restart = kubectl(cluster.name, f"-n {ISTIO_NAMESPACE} rollout restart deployment/{name}")
    if said or told:
        cause = "the API server refuses the gateway's pods, for the reason above"
        fix = f"# once that is mended:\n{restart}"
        return _Reason((f"{what} has no pod", said or told[-1]), cause, fix)
    cause = "either its controller has not made them yet, or no controller does"
    return _Reason((f"{what} has no pod",), cause, restart, False)


def _of_pods(snapshot: Snapshot, cluster: ClusterSnapshot, found: list[Object]) -> _Reason:
    seen = tuple(
        f"{cluster.name}: {full_name(p)} is not Ready: {pods.complaint(p)}" for p in found[:3]
    )
    if any(pods.is_unschedulable(pod) for pod in found):
        return _unscheduled(snapshot, cluster, seen)
    if pods.waiting_reasons(found) & IMAGE:
        return _no_image(snapshot, cluster, found[0], seen)
    command = f"-n {ISTIO_NAMESPACE} logs {name_of(found[0])} -c istio-proxy --tail=50"
    if any(_has_ended(pod) for pod in found):
        return _ends(snapshot, cluster, found, seen)
    if told := warnings_about(cluster, "Pod", re.escape(name_of(found[0]))):
        seen = (*seen, told[-1])
    if any(dig(status, "state", "waiting") for pod in found for status in pods.statuses(pod)):
        cause = "its containers cannot be made, for the reason above"
        describe = f"-n {ISTIO_NAMESPACE} describe pod {name_of(found[0])}"
        return _Reason(seen, cause, kubectl(cluster.name, describe), bool(told))
    cause = (
        "its Envoy runs, and is ready only once istiod has certified and configured it: either "
        "istiod does not answer there, or it refuses the proxy"
    )
    return _Reason(seen, cause, kubectl(cluster.name, command), False)


def _unscheduled(snapshot: Snapshot, cluster: ClusterSnapshot, seen: tuple[str, ...]) -> _Reason:
    shut = [name_of(n) for n in listed(cluster, "Node") if dig(n, "spec", "unschedulable")]
    if shut and any(CORDONED.search(line) for line in seen):
        cause = f"no node takes the pod: {shown(shut)} is cordoned"
        return _Reason(seen, cause, kubectl(cluster.name, f"uncordon {' '.join(shut)}"))
    fix = "# add a node, or ask for less by `resources` in the environment file, then:\n"
    fix += up(snapshot)
    return _Reason(seen, "no node takes the pod, for the scheduler's reason above", fix)


def _no_image(
    snapshot: Snapshot, cluster: ClusterSnapshot, pod: Object, seen: tuple[str, ...]
) -> _Reason:
    image = str((container(pod, "istio-proxy") or {}).get("image", ""))
    name = stack_of(snapshot).gateway.name
    if image.rpartition("/")[2] in (NOT_INJECTED, f"{NOT_INJECTED}:latest"):
        restart = kubectl(cluster.name, f"-n {ISTIO_NAMESPACE} rollout restart deployment/{name}")
        return _Reason(
            (*seen, f"its image is still {image}"),
            "the pod was made without the injector's webhook, so it has no image of Istio's",
            f"{up(snapshot)}\n{restart}",
        )
    cause = f"the node does not get the image {image}: its registry does not have it or refuses it"
    fix = f"# set `images` in the environment file to where nodes find it, then:\n{up(snapshot)}"
    return _Reason(seen, cause, fix)


def _ends(
    snapshot: Snapshot, cluster: ClusterSnapshot, found: list[Object], seen: tuple[str, ...]
) -> _Reason:
    ends = [end for pod in found for end in _last_ends(pod)]
    if any(end.get("reason") == "OOMKilled" for end in ends):
        fix = f"# raise the gateway's memory limit by `overlays`, then:\n{up(snapshot)}"
        return _Reason(seen, "its proxy was ended for using more memory than its limit", fix)
    log = f"-n {ISTIO_NAMESPACE} logs {name_of(found[0])} -c istio-proxy --previous --tail=50"
    cause = "its proxy ends and is started again; its last words are in its log"
    return _Reason(seen, cause, kubectl(cluster.name, log), False)


def _has_ended(pod: Object) -> bool:
    return bool(_last_ends(pod)) or "CrashLoopBackOff" in pods.waiting_reasons([pod])


def _last_ends(pod: Object) -> list[Object]:
    """Return how containers that do not run now have ended."""
    ends = [
        dig(status, place, "terminated")
        for status in pods.statuses(pod)
        if not dig(status, "state", "running")
        for place in ("state", "lastState")
    ]
    return mappings(ends)


ANALYZERS = (no_ready_pod,)
