"""Whether the mesh has a control plane at all, and why not."""

from collections.abc import Iterator

from isthmus.diagnosis import pods
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import full_name, is_ready, labelled, listed, name_of, was_listed
from isthmus.diagnosis.services import stack_of, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

ISTIOD = {"app": "istiod"}


@analyzer("F45", "No pod of istiod is ready: the mesh has no control plane")
def no_control_plane(snapshot: Snapshot) -> Iterator[Failure]:
    """No replica answers: no injection, no new certificates, and proxies keep what they know."""
    stack = stack_of(snapshot)
    everywhere = stack is not None and stack.istiod_in_remotes
    for cluster in snapshot.clusters if everywhere else snapshot.clusters[:1]:
        if not cluster.reachable or not was_listed(cluster, "Pod"):
            continue
        found = labelled(cluster, "Pod", ISTIOD, ISTIO_NAMESPACE)
        alive = [p for p in pods.alive(cluster, ISTIO_NAMESPACE) if p in found]
        if not any(map(is_ready, alive)):
            yield _without_control_plane(snapshot, cluster, alive)


def _without_control_plane(
    snapshot: Snapshot, cluster: ClusterSnapshot, alive: list[Object]
) -> Failure:
    deployments = [
        d
        for d in listed(cluster, "Deployment", ISTIO_NAMESPACE)
        if pods.template_labels(d).get("app") == "istiod"
    ]
    if not deployments and was_listed(cluster, "Deployment") and not alive:
        return _missing(snapshot, cluster)
    if alive:
        return _not_ready(snapshot, cluster, alive)
    return _without_pods(snapshot, cluster, deployments)


def _missing(snapshot: Snapshot, cluster: ClusterSnapshot) -> Failure:
    return Failure(
        clusters=(cluster.name,),
        object=f"Deployment {ISTIO_NAMESPACE}/istiod",
        evidence=(f"{cluster.name} has no Deployment and no pod of istiod in {ISTIO_NAMESPACE}",),
        cause="the Deployment of istiod was deleted, or Istio is not installed",
        fix=up(snapshot),
    )


def _without_pods(
    snapshot: Snapshot, cluster: ClusterSnapshot, deployments: list[Object]
) -> Failure:
    wanted = sum(map(pods.replicas, deployments))
    name = name_of(deployments[0]) if deployments else "istiod"
    refused = [said for d in deployments if (said := pods.refusal(d))]
    evidence = [f"{full_name(d)}: spec.replicas {pods.replicas(d)}, no pod" for d in deployments]
    cause, fix, certain = "the pods of istiod were not created", up(snapshot), False
    if deployments and not wanted:
        cause, certain = "the Deployment of istiod is scaled to 0", True
        words = f"-n {ISTIO_NAMESPACE} scale deployment/{name} --replicas=1"
        fix = kubectl(cluster.name, words)
    elif refused:
        cause, certain = "the API server refuses pods of istiod: see its words", True
        fix = kubectl(cluster.name, f"-n {ISTIO_NAMESPACE} describe replicasets -l app=istiod")
    return Failure(
        clusters=(cluster.name,),
        object=f"Deployment {ISTIO_NAMESPACE}/{name}",
        evidence=(*evidence, *refused) or (f"{cluster.name} has no pod of istiod",),
        cause=cause,
        fix=fix,
        certain=certain,
    )


def _not_ready(snapshot: Snapshot, cluster: ClusterSnapshot, alive: list[Object]) -> Failure:
    reasons = pods.waiting_reasons(alive)
    words = f"-n {ISTIO_NAMESPACE} describe pods -l app=istiod"
    certain, again = True, ""
    if any(map(pods.is_unschedulable, alive)):
        cause = "no node takes the pod: its requests, taints or selectors fit none"
    elif reasons & {"ImagePullBackOff", "ErrImagePull", "InvalidImageName"}:
        cause, again = "the image of istiod cannot be pulled", f"\n{up(snapshot)}"
    elif "CrashLoopBackOff" in reasons:
        cause = "istiod ends after its start: its log says why"
        words = f"-n {ISTIO_NAMESPACE} logs {name_of(alive[0])} --previous --tail=50"
    else:
        cause, certain = "istiod runs, or starts, and its readiness probe has not succeeded", False
        words = f"-n {ISTIO_NAMESPACE} logs {name_of(alive[0])} --tail=50"
    said = (f"{name_of(p)}: {pods.complaint(p) or 'not Ready'}" for p in alive[:5])
    return Failure(
        clusters=(cluster.name,),
        object=full_name(alive[0]),
        evidence=tuple(said),
        cause=cause,
        fix=kubectl(cluster.name, words) + again,
        certain=certain,
    )


ANALYZERS = (no_control_plane,)
