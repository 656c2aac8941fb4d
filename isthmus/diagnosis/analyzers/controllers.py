"""Kubernetes' own controllers: whether they act on what they are told."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import conditions, created, dig, number, seconds, selects
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.objects import (
    full_name,
    is_ending,
    labels_of,
    listed,
    name_of,
    namespace_of,
    was_listed,
)
from isthmus.diagnosis.pods import replicas
from isthmus.diagnosis.services import KUBE_SYSTEM, reachable, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot
from isthmus.diagnosis.times import span

PATIENCE = 20.0
"""Seconds after which a pod without any word of a scheduler was not seen by one."""
STALE = 60.0
"""Seconds without a renewal after which the holder of a Lease has stopped: it renews every 2
(k8s.io/component-base config/v1alpha1, LeaderElectionConfiguration)."""
WAITS = "Pending for {}, and no scheduler has looked at it"
SCHEDULER, MANAGER = "kube-scheduler", "kube-controller-manager"
LOST = {
    SCHEDULER: "no new pod gets a node",
    MANAGER: "no pod is replaced, and no EndpointSlice follows its pods",
}


@analyzer("F59", "kube-scheduler or kube-controller-manager is not at work")
def not_at_work(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters whose controllers have not done what they do within moments."""
    for cluster in reachable(snapshot):
        leases = dict(_stale_leases(cluster))
        seen = {
            SCHEDULER: [*_unseen_pods(snapshot, cluster)],
            MANAGER: [*_unmade_pods(cluster)],
        }
        for name, lost in LOST.items():
            evidence = [*leases.get(name, ()), *seen[name]]
            if evidence:
                # A Lease alone may be left of a program that now runs without one.
                severity: Severity = "error" if seen[name] else "warning"
                yield _failure(snapshot, cluster, name, lost, evidence, severity)


def _failure(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    name: str,
    lost: str,
    evidence: list[str],
    severity: Severity,
) -> Failure:
    pods = kubectl(cluster.name, f"-n {KUBE_SYSTEM} get pods -o wide")
    leases = kubectl(cluster.name, f"-n {KUBE_SYSTEM} get lease {name}")
    made_here = snapshot.environment.get("provider") == "lab"
    return Failure(
        (cluster.name,),
        tuple(evidence[:5]),
        f"{name} does not run, or its API server refuses it: {lost}",
        up(snapshot) if made_here else f"{pods}\n{leases}",
        object=name,
        severity=severity,
        certain=False,
    )


def _unseen_pods(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[str]:
    """Yield the pods that wait for a node, and of which no scheduler has said a word."""
    for pod in listed(cluster, "Pod"):
        if dig(pod, "spec", "nodeName") or is_ending(pod) or "PodScheduled" in conditions(pod):
            continue
        if dig(pod, "spec", "schedulerName") not in (None, "", "default-scheduler"):
            continue
        if dig(pod, "status", "phase") == "Pending" and not dig(pod, "spec", "schedulingGates"):
            age = (_newest_lease(cluster) or snapshot.taken_at) - created(pod)
            if age > PATIENCE:
                yield f"{full_name(pod)}: {WAITS.format(span(age))}"


def _unmade_pods(cluster: ClusterSnapshot) -> Iterator[str]:
    """Yield the Deployments that tell of more pods than there are: nobody has counted again."""
    if not was_listed(cluster, "Pod"):
        return
    for deployment in listed(cluster, "Deployment"):
        told = int(number(dig(deployment, "status", "replicas")) or 0)
        space, chosen = namespace_of(deployment), dig(deployment, "spec", "selector")
        pods = [p for p in listed(cluster, "Pod", space) if selects(chosen, labels_of(p))]
        if min(told, replicas(deployment)) > len(pods) and not is_ending(deployment):
            yield f"{full_name(deployment)}: its status has {told} pods, and there are {len(pods)}"


def _newest_lease(cluster: ClusterSnapshot) -> float:
    """Return the cluster's own time, by who last told that he is alive; 0 if nobody does."""
    every = (seconds(dig(lease, "spec", "renewTime")) for lease in listed(cluster, "Lease"))
    return max(filter(None, every), default=0.0)


def _stale_leases(cluster: ClusterSnapshot) -> Iterator[tuple[str, list[str]]]:
    """Yield the controllers that do not renew their Lease, by the clock of those that do."""
    renewed = {
        name_of(lease): at
        for lease in listed(cluster, "Lease")
        if (at := seconds(dig(lease, "spec", "renewTime")))
    }
    newest = _newest_lease(cluster)
    for name in LOST:
        if name in renewed and newest - renewed[name] > STALE:
            late = span(newest - renewed[name])
            yield name, [f"Lease {KUBE_SYSTEM}/{name} was last renewed {late} before others"]


ANALYZERS = (not_at_work,)
