"""Whether what will be requested finds room on a cluster's nodes; pure.

The scheduler counts requests, so they are counted here too: what nodes can give, less what pods of
others request, must hold what we shall request. A stack may also say how large the host has to be
in all, as the guide does; whoever sets `resources` has thought of that, and is believed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from isthmus.adapters.diff import Manifest, parse_quantity
from isthmus.errors import Unprepared

TERMINAL_PHASES = ("Succeeded", "Failed")
MIN_MEMORY_FRACTION = Fraction(95, 100)
"""A machine that is sold with 8 GB reports less, as its firmware and kernel keep some."""


@dataclass(frozen=True)
class ResourceTotals:
    """CPU in cores, memory in bytes."""

    cpu: Fraction = Fraction(0)
    memory: Fraction = Fraction(0)

    def __add__(self, other: "ResourceTotals") -> "ResourceTotals":
        """Sum both."""
        return ResourceTotals(self.cpu + other.cpu, self.memory + other.memory)

    def __sub__(self, other: "ResourceTotals") -> "ResourceTotals":
        """Return what is left of each."""
        return ResourceTotals(self.cpu - other.cpu, self.memory - other.memory)

    def can_fit(self, other: "ResourceTotals") -> bool:
        """Tell whether there is as much of each."""
        return self.cpu >= other.cpu and self.memory >= other.memory

    def __str__(self) -> str:
        """Say it as people do: 3.9 cores, 7.2 GiB."""
        return f"{float(self.cpu):.2f} cores, {float(self.memory / 2**30):.2f} GiB"


def parse_resources(given: dict[str, str] | None) -> ResourceTotals:
    """Return what a container requests or a node has; what is not said is nothing."""
    given = given or {}
    return ResourceTotals(
        parse_quantity(given.get("cpu")) or Fraction(0),
        parse_quantity(given.get("memory")) or Fraction(0),
    )


def total(amounts: Iterable[ResourceTotals]) -> ResourceTotals:
    """Return the sum."""
    return sum(amounts, ResourceTotals())


def free_per_node(nodes: Sequence[Manifest], pods: Iterable[Manifest]) -> list[ResourceTotals]:
    """Return what each node that takes pods has left."""
    left = {
        n["metadata"]["name"]: parse_resources(n["status"].get("allocatable"))
        for n in schedulable_nodes(nodes)
    }
    for pod in pods:
        node = pod["spec"].get("nodeName", "")
        if node in left and pod.get("status", {}).get("phase") not in TERMINAL_PHASES:
            left[node] -= pod_requests(pod)
    return list(left.values())


def schedulable_nodes(nodes: Sequence[Manifest]) -> list[Manifest]:
    """Return the nodes on which a pod without tolerations may be put."""
    return [n for n in nodes if not n.get("spec", {}).get("unschedulable") and not _tainted(n)]


def pod_requests(pod: Manifest) -> ResourceTotals:
    """Return what the scheduler counts for a pod: its containers, or a larger init container."""
    spec = pod["spec"]
    side_by_side = total(_requests(c) for c in spec.get("containers", []))
    first = [_requests(c) for c in spec.get("initContainers", [])]
    return ResourceTotals(
        max([side_by_side.cpu, *(a.cpu for a in first)]),
        max([side_by_side.memory, *(a.memory for a in first)]),
    )


def find_insufficient_capacity(
    cluster: str, left: Sequence[ResourceTotals], pods: Sequence[ResourceTotals]
) -> list[Unprepared]:
    """Return the refusal if these pods do not fit, all of them and each on one node."""
    if not left:
        hint = "add a node, uncordon one, or remove a taint: kubectl describe nodes"
        return [Unprepared("has no schedulable node", cluster=cluster, hint=hint)]
    need, have = total(pods), total(left)
    widest = max(pods, key=lambda pod: (pod.memory, pod.cpu), default=ResourceTotals())
    hint = "add a node, or ask for less by `resources` in the environment file"
    if not have.can_fit(need):
        message = f"insufficient capacity: {have} left for requests; the mesh requests {need}"
    elif not any(node.can_fit(widest) for node in left):
        message = f"insufficient capacity: no node has {widest} left for one pod of the mesh"
    else:
        return []
    return [Unprepared(message, cluster=cluster, hint=hint)]


def find_undersized_host(
    cluster: str, nodes: Sequence[Manifest], wanted: ResourceTotals, stack: str
) -> list[Unprepared]:
    """Return the refusal if a host's nodes are smaller in all than its stack says."""
    have = total(parse_resources(n["status"].get("capacity")) for n in schedulable_nodes(nodes))
    if have.cpu >= wanted.cpu and have.memory >= wanted.memory * MIN_MEMORY_FRACTION:
        return []
    message = f"its nodes have {have}; stack {stack} requires {wanted} of the host cluster"
    hint = "add a node, or set lower requests by `resources` in the environment file"
    return [Unprepared(message, cluster=cluster, hint=hint)]


def _requests(container: Manifest) -> ResourceTotals:
    return parse_resources((container.get("resources") or {}).get("requests"))


def _tainted(node: Manifest) -> bool:
    taints = node.get("spec", {}).get("taints") or []
    return any(t["effect"] in ("NoSchedule", "NoExecute") for t in taints)
