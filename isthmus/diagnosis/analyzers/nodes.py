"""Nodes: whether there is one that runs pods, and whether it does well."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import conditions, dig
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import is_ready, listed, name_of
from isthmus.diagnosis.services import reachable, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
"""Conditions of a node that are bad if True (k8s.io/api core/v1, NodeConditionType)."""
CAUSES = {
    "MemoryPressure": "the node runs out of memory: it takes no pod without requests, and evicts",
    "DiskPressure": "the node runs out of disk: it takes no pod, deletes images and evicts pods",
    "PIDPressure": "the node runs out of process numbers: it takes no pod",
    "NetworkUnavailable": "the node's pod network is not set up (its CNI plugin, its route)",
}
STARTED_BY_UP = ("lab", "kind")


@analyzer("F52", "A node is not Ready, under pressure, or takes no pods")
def unwell_node(snapshot: Snapshot) -> Iterator[Failure]:
    """Find nodes that run no pods as they should, and clusters in which none takes any."""
    for cluster in reachable(snapshot):
        nodes = listed(cluster, "Node")
        ready = [node for node in nodes if is_ready(node)]
        for node in nodes:
            yield from _node(snapshot, cluster, node, bool(ready))
        if ready and all(dig(node, "spec", "unschedulable") is True for node in ready):
            yield _all_cordoned(cluster, ready)


def _node(
    snapshot: Snapshot, cluster: ClusterSnapshot, node: Object, others: bool
) -> Iterator[Failure]:
    name, found = name_of(node), conditions(node)
    told = found.get("Ready")
    if told and told.get("status") != "True":
        yield _not_ready(snapshot, cluster, name, told, others)
        return
    bad = [kind for kind in PRESSURES if found.get(kind, {}).get("status") == "True"]
    if bad:
        yield Failure(
            (cluster.name,),
            tuple(f"Node {name}: {kind} is {_text(found[kind])}" for kind in bad),
            "; ".join(CAUSES[kind] for kind in bad),
            kubectl(cluster.name, f"describe node {name}"),
            object=f"Node {name}",
            severity="warning",
        )


def _not_ready(
    snapshot: Snapshot, cluster: ClusterSnapshot, name: str, told: Object, others: bool
) -> Failure:
    lost = told.get("status") == "Unknown"
    return Failure(
        (cluster.name,),
        (f"Node {name}: Ready is {_text(told)}",),
        "its kubelet tells the API server nothing any more: it is down, or cut off"
        if lost
        else "its kubelet says that it cannot run pods, for the reason above",
        _start(snapshot, cluster, name),
        object=f"Node {name}",
        severity="warning" if others else "error",
    )


def _text(condition: Object) -> str:
    words = (condition.get("reason"), condition.get("message"))
    said = ": ".join(str(word) for word in words if word)
    since = condition.get("lastTransitionTime")
    return f"{condition.get('status')}, {said}" + (f" (since {since})" if since else "")


def _start(snapshot: Snapshot, cluster: ClusterSnapshot, name: str) -> str:
    if snapshot.environment.get("provider") in STARTED_BY_UP:
        return up(snapshot)
    look = kubectl(cluster.name, f"describe node {name}")
    return f"{look}\nsystemctl restart kubelet  # on node {name}"


def _all_cordoned(cluster: ClusterSnapshot, nodes: list[Object]) -> Failure:
    names = [name_of(node) for node in nodes]
    return Failure(
        (cluster.name,),
        tuple(f"Node {name}: spec.unschedulable is true" for name in names),
        "every node is cordoned: pods that run stay, but no new one is taken",
        kubectl(cluster.name, f"uncordon {' '.join(names)}"),
        object="Nodes",
        severity="warning",
    )


ANALYZERS = (unwell_node,)
