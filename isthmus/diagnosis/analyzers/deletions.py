"""Objects that were deleted and do not go, and what another environment has left behind."""

import re
from collections.abc import Iterator

from isthmus.diagnosis.fields import conditions, dig, seconds, texts
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.objects import (
    full_name,
    is_ending,
    labels_of,
    listed,
    name_of,
    namespace_of,
)
from isthmus.diagnosis.services import reachable, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, SAMPLE_NAMESPACE

PATIENCE = 300.0
"""Seconds after which a deletion hangs: pods have 30 to end, a namespace's content a few more."""
HELD_PATIENCE = 60.0
"""Seconds for a namespace whose own condition says that finalizers of its content hold it."""
OWN = (ISTIO_NAMESPACE, SAMPLE_NAMESPACE, KUBEFED_NAMESPACE)
ENVIRONMENT_LABEL = "isthmus/environment"
"""Label of all that Isthmus makes (isthmus.adapters.diff)."""
NAMED = 6
"""Objects that are named; of more the number is told."""
BLOCKING = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
)
"""Why a namespace does not end, the root first (k8s.io/kubernetes
pkg/controller/namespace/deletion/status_condition_utils.go)."""


@analyzer("F31", "An object that was deleted does not go, or another environment's was left")
def leftover(snapshot: Snapshot) -> Iterator[Failure]:
    """Find deletions that hang, by their finalizers or content, and strange leftovers."""
    for cluster in reachable(snapshot):
        for items in cluster.objects.values():
            for item in items:
                if _hangs(snapshot, item):
                    yield _hanging(snapshot, cluster, item)
        yield from _left(snapshot, cluster)


def _hangs(snapshot: Snapshot, item: Object) -> bool:
    deleted = seconds(dig(item, "metadata", "deletionTimestamp"))
    limit = (
        HELD_PATIENCE if "NamespaceFinalizersRemaining" in " ".join(_blockers(item)) else PATIENCE
    )
    return deleted is not None and snapshot.taken_at - deleted > limit


def _hanging(snapshot: Snapshot, cluster: ClusterSnapshot, item: Object) -> Failure:
    deleted = str(dig(item, "metadata", "deletionTimestamp"))
    finalizers = texts(dig(item, "metadata", "finalizers"))
    said = _blockers(item)
    cause, fix = _reason(snapshot, cluster, item, finalizers)
    place = name_of(item) if item.get("kind") == "Namespace" else namespace_of(item)
    severity: Severity = "error" if place in OWN else "warning"
    return Failure(
        (cluster.name,),
        (
            f"{full_name(item)}: deleted at {deleted} and still there",
            *([f"finalizers: {', '.join(finalizers)}"] if finalizers else []),
            *said,
        ),
        cause,
        fix,
        object=full_name(item),
        severity=severity,
    )


def _blockers(item: Object) -> list[str]:
    """Return what a namespace says of its own deletion."""
    if item.get("kind") != "Namespace":
        return []
    told = conditions(item)
    found = [told[kind] for kind in BLOCKING if told.get(kind, {}).get("status") == "True"]
    return [f"{c.get('type')}: {c.get('message', '')}" for c in found]


def _reason(
    snapshot: Snapshot, cluster: ClusterSnapshot, item: Object, finalizers: list[str]
) -> tuple[str, str]:
    if item.get("kind") == "Namespace":
        return _of_namespace(cluster, item)
    if item.get("kind") == "Pod" and not finalizers:
        node = str(dig(item, "spec", "nodeName") or "")
        where = f"-n {namespace_of(item)} delete pod {name_of(item)} --force --grace-period=0"
        cause = f"its kubelet has not told the API server that the pod ended (node {node})"
        return cause, kubectl(cluster.name, where)
    if not finalizers:
        where = f"{_named(item)} -o yaml"
        cause = "the API server has not removed it though no finalizer is left"
        return cause, kubectl(cluster.name, where.replace(" delete ", " get "))
    patch = """--type=merge -p '{"metadata":{"finalizers":null}}'"""
    free = kubectl(cluster.name, f"{_named(item).replace(' delete ', ' patch ')} {patch}")
    federated = any("kubefed" in name for name in finalizers)
    cause = (
        "an object ends when whoever set its finalizers takes them away, and that does not happen: "
        "it does not run, or fails"
    )
    return (
        cause,
        f"{up(snapshot)}  # starts KubeFed, which then ends it\n{free}" if federated else free,
    )


def _of_namespace(cluster: ClusterSnapshot, item: Object) -> tuple[str, str]:
    name, told = name_of(item), conditions(item)
    broken = told.get("NamespaceDeletionDiscoveryFailure", {})
    if broken.get("status") == "True":
        found = re.search(r"([\w.-]+)/(v\w+)", str(broken.get("message", "")))
        what = f"apiservice {found[2]}.{found[1]}" if found else "apiservices"
        cause = (
            "an aggregated API does not answer, so that nobody knows what the namespace holds: its "
            "APIService must be repaired, or deleted if nobody needs it"
        )
        return cause, kubectl(cluster.name, f"delete {what}" if found else f"get {what}")
    content = str(told.get("NamespaceContentRemaining", {}).get("message", ""))
    kinds = re.findall(r"([\w-]+\.[\w.-]*\w|[a-z]+) has \d+ resource instances", content)
    cause = "it holds objects that do not end, by their finalizers or their pods"
    return cause, "\n".join(_freed(cluster, name, kind) for kind in kinds) or kubectl(
        cluster.name, f"get namespace {name} -o yaml"
    )


def _freed(cluster: ClusterSnapshot, namespace: str, kind: str) -> str:
    """Return the command that takes the finalizers from all objects of a kind in a namespace."""
    get = kubectl(cluster.name, f"-n {namespace} get {kind} -o name")
    patch = """--type=merge -p '{"metadata":{"finalizers":null}}'"""
    return f"{get} | xargs -n1 {kubectl(cluster.name, f'-n {namespace} patch')} {patch}"


def _named(item: Object) -> str:
    """Return the words that delete an object, its API group with its kind."""
    kind, version = str(item.get("kind", "")), str(item.get("apiVersion", ""))
    group, slash, number = version.partition("/")
    full = f"{kind}.{number}.{group}" if slash else kind
    space = f"-n {namespace_of(item)} " if namespace_of(item) else ""
    return f"{space}delete {full.lower()} {name_of(item)}".replace("  ", " ")


def _left(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[Failure]:
    """Yield what bears the label of another environment of Isthmus."""
    own = snapshot.name
    found: dict[str, list[Object]] = {}
    for kind in cluster.objects:
        for item in listed(cluster, kind):
            owner = labels_of(item).get(ENVIRONMENT_LABEL, "")
            if owner and own and owner != own and not is_ending(item):
                found.setdefault(owner, []).append(item)
    for owner, items in found.items():
        named = [full_name(item) for item in items[:NAMED]]
        more = [f"and {len(items) - NAMED} more"] if len(items) > NAMED else []
        yield Failure(
            (cluster.name,),
            (f"label {ENVIRONMENT_LABEL}={owner}: {', '.join([*named, *more])}",),
            f"environment {owner} made it, and did not take it away",
            f"isthmus down {owner}",
            object=f"environment {owner}",
            severity="warning",
        )


ANALYZERS = (leftover,)
