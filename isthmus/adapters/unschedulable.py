"""Why no node takes a pod, by what its scheduler says; and whether time may mend it; pure."""

import re
from collections.abc import Iterable

from isthmus.adapters.diff import Manifest

NODES = re.compile(r"were unschedulable|had (untolerated )?taint")
SELECTOR = re.compile(r"didn't match (Pod's )?node (selector|affinity)")
INSUFFICIENT_RESOURCES = re.compile(r"^(Insufficient |Too many pods)")
"""What the scheduler says of nodes (k8s.io/kubernetes pkg/scheduler/framework/plugins), older
releases' words among it. All else, such as a volume that is not bound yet, may pass."""
HINTS = {
    NODES: "kubectl uncordon NODE, or kubectl taint node NODE KEY- , or add a node",
    SELECTOR: "give a node the label that the pod wants, or take the selector out of `overlays`: "
    "kubectl get nodes --show-labels",
    INSUFFICIENT_RESOURCES: "add a node, or ask for less by `resources` in the environment file: "
    "kubectl describe nodes",
}
PASSING_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "uninitialized")
"""Taints that nodes lose by themselves as they come up (node lifecycle and cloud controllers)."""
NO_NODE = re.compile(r"wouldn't fit|max (node group size|cluster .*limit) reached")
"""What the cluster-autoscaler says of a pod for which no node that it may add would do."""
OLD_TAINT = ", that the pod didn't tolerate"


def hint(said: str) -> str:
    """Return what to do if time does not mend it; empty if it may well do so."""
    reasons = _reasons(said)
    kinds = [kind for kind in HINTS if any(kind.search(reason) for reason in reasons)]
    known = all(any(kind.search(reason) for kind in HINTS) for reason in reasons)
    passing = any(taint in said for taint in PASSING_TAINTS)
    return HINTS[kinds[-1]] if kinds and known and not passing else ""


def required_seconds(
    said: str, nodes: Iterable[Manifest], events: Iterable[Manifest], room: float
) -> float:
    """Return for how many seconds this must be said until it is believed; endless if it may pass.

    `room` are the seconds until nothing will make room, or a node, by itself.
    Who adds nodes tells so in an event about the pod (TriggeredScaleUp, Nominated, ProvisionNode).
    Without one, time is what shows that nobody does: where nodes come from no cloud, none is added
    at all, as whoever adds nodes knows them by their providerID (cluster-autoscaler, Karpenter).
    """
    reasons, nodes = _reasons(said), list(nodes)
    # Newer schedulers name no taint.
    unnamed = any(NODES.search(reason) and "{" not in reason for reason in reasons)
    if unnamed and any(_comes_up(node) for node in nodes):
        return float("inf")
    words = [
        e for e in events if e.get("type") == "Normal" and _component(e) != "default-scheduler"
    ]
    if any(e.get("reason") != "NotTriggerScaleUp" for e in words):
        return float("inf")
    if all(NODES.search(r) for r in reasons) or any(map(_refuses, words)):
        return 0.0
    makes_nodes = any(node.get("spec", {}).get("providerID") for node in nodes)
    return room if makes_nodes or any(map(INSUFFICIENT_RESOURCES.search, reasons)) else 0.0


def _reasons(said: str) -> list[str]:
    """Return what is said of nodes: `0/3 nodes are available: 1 Too many pods, 2 ... .`."""
    told = said.partition("available: ")[2].replace(OLD_TAINT, "").partition(". ")[0]
    return [re.sub(r"^\d+ ", "", part.strip(" .")) for part in told.split(", ") if part]


def _refuses(event: Manifest) -> bool:
    said = event.get("message", "")
    return bool(NO_NODE.search(said)) and "backoff" not in said


def _component(event: Manifest) -> str:
    return str(event.get("reportingComponent") or event.get("source", {}).get("component") or "")


def _comes_up(node: Manifest) -> bool:
    taints = node.get("spec", {}).get("taints") or []
    return any(passing in taint["key"] for taint in taints for passing in PASSING_TAINTS)
