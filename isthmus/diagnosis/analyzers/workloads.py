"""What must run in each cluster and does not: the API server, the service's pods, its callers."""

from collections.abc import Iterator

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.objects import find, full_name, name_of, was_listed
from isthmus.diagnosis.services import (
    CALLER,
    SAMPLE,
    MeshService,
    pods_of,
    reachable,
    selector,
    service_in,
    services,
    up,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import SAMPLE_NAMESPACE

MADE_HERE = ("lab", "kind")
"""Providers whose clusters `isthmus up` starts again."""
PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})


@analyzer("F44", "A cluster's API server does not answer Isthmus")
def unreachable(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters of which nothing could be asked."""
    made_here = snapshot.environment.get("provider") in MADE_HERE
    for cluster in snapshot.clusters:
        if not cluster.reachable:
            yield Failure(
                (cluster.name,),
                (f"{cluster.server or 'API server'}: {cluster.unreachable_reason or 'no answer'}",),
                "either the API server does not run, or the way from here to it is shut, or the "
                "kubeconfig's address or credentials are wrong; nothing of the cluster was checked",
                up(snapshot) if made_here else kubectl(cluster.name, "get --raw /readyz"),
                object=f"Cluster {cluster.name}",
                certain=False,
            )


@analyzer("F46", "No pod of the service, or of its caller, is ready in a cluster")
def no_ready_pod(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters in which nothing could answer, or from which nothing could ask."""
    for cluster in reachable(snapshot):
        if not was_listed(cluster, "Pod") or not _has_sample_namespace(cluster):
            continue
        for service in services(snapshot):
            yield from _service(snapshot, cluster, service)
        yield from _caller(snapshot, cluster)


def _has_sample_namespace(cluster: ClusterSnapshot) -> bool:
    """Tell whether the namespace is there: its absence is another failure, F26."""
    known = find(cluster, "Namespace", SAMPLE_NAMESPACE)
    return known is not None or not was_listed(cluster, "Namespace")


def _service(
    snapshot: Snapshot, cluster: ClusterSnapshot, service: MeshService
) -> Iterator[Failure]:
    found, labels = pods_of(cluster, service), selector(cluster, service)
    if pods.ready(found) or dig(service_in(cluster, service), "spec", "type") == "ExternalName":
        return
    makers = pods.deployments_of(cluster, service.namespace, labels)
    named = find(cluster, "Deployment", service.name, service.namespace)
    if named and named not in makers:
        return  # its pods may run, but the Service selects others: F54
    if service != SAMPLE and not makers and not found:
        return  # nobody says that it should be here
    wanted = any(map(pods.replicas, makers)) or bool(found)
    severity: Severity = "error" if wanted or service == SAMPLE else "warning"
    yield _failure(snapshot, cluster, service.text, service.name, makers, found, severity)


def _caller(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[Failure]:
    found = pods.selected(cluster, SAMPLE_NAMESPACE, CALLER)
    if not pods.ready(found):
        makers = pods.deployments_of(cluster, SAMPLE_NAMESPACE, CALLER)
        yield _failure(snapshot, cluster, "the caller", "sleep", makers, found, "warning")


def _failure(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    of: str,
    name: str,
    makers: list[Object],
    found: list[Object],
    severity: Severity,
) -> Failure:
    why, fix = _reason(snapshot, cluster, name, makers, found)
    said = [f"{full_name(pod)}: {pods.complaint(pod)}" for pod in found]
    refused = [f"{full_name(d)}: {told}" for d in makers if (told := pods.refusal(d))]
    return Failure(
        (cluster.name,),
        (f"{cluster.name}: {len(found)} pods of {of}, none Ready", *refused, *said),
        why,
        fix,
        object=full_name(makers[0]) if makers else of,
        severity=severity,
        certain=bool(refused or said or not makers or not any(map(pods.replicas, makers))),
    )


def _reason(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    name: str,
    makers: list[Object],
    found: list[Object],
) -> tuple[str, str]:
    """Return why there is no ready pod, and what to type."""
    space = dig((makers or found or [{}])[0], "metadata", "namespace") or SAMPLE_NAMESPACE
    where = f"-n {space}"
    if not makers and not found and was_listed(cluster, "Deployment"):
        return f"there is no Deployment {space}/{name}", up(snapshot)
    if makers and not any(map(pods.replicas, makers)):
        scale = f"{where} scale deployment/{name_of(makers[0])} --replicas=1"
        return "the Deployment is scaled to 0", kubectl(cluster.name, scale)
    if refused := next((d for d in makers if pods.refusal(d)), None):
        again = f"{where} rollout restart deployment/{name_of(refused)}"
        look = f"{where} describe resourcequotas,limitranges"
        why = "the API server refuses its pods, by a quota, a policy or a webhook named above"
        return why, f"{kubectl(cluster.name, look)}\n{kubectl(cluster.name, again)}"
    return _of_pods(snapshot, cluster, where, found)


def _of_pods(
    snapshot: Snapshot, cluster: ClusterSnapshot, where: str, found: list[Object]
) -> tuple[str, str]:
    reasons = pods.waiting_reasons(found)
    if any(map(pods.is_unschedulable, found)):
        return "no node takes the pod, by the scheduler's words above", _make_room(cluster)
    if reasons & PULLING:
        again = kubectl(cluster.name, pods.restart(cluster, found[0]))
        why = "the node cannot pull the image: its name, the registry, or the pull secret"
        return why, f"{up(snapshot)}  # with `images` in its file corrected\n{again}"
    if "CrashLoopBackOff" in reasons or found:
        name = name_of(found[0])
        log = kubectl(cluster.name, f"{where} logs {name} --all-containers --tail=50")
        again = kubectl(cluster.name, pods.restart(cluster, found[0]))
        crashes = "CrashLoopBackOff" in reasons
        why = (
            "its program ends soon after each start" if crashes else "its containers are not ready"
        )
        return why, f"{log}\n{again}"
    return "its pods are not made", kubectl(cluster.name, f"{where} describe deployments")


def _make_room(cluster: ClusterSnapshot) -> str:
    """Return what lets nodes take pods again: uncordoned, if that is what keeps them."""
    nodes = cluster.objects.get("Node", [])
    shut = [name_of(n) for n in nodes if dig(n, "spec", "unschedulable") is True]
    if shut:
        return kubectl(cluster.name, f"uncordon {' '.join(shut)}")
    return kubectl(cluster.name, "describe nodes")


ANALYZERS = (unreachable, no_ready_pod)
