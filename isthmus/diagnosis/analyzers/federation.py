"""KubeFed: its members, its own pods, and whether what it carries has reached every cluster."""

from collections.abc import Iterator
from typing import Any

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import conditions, dig, mappings
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import find, full_name, is_ready, listed, name_of, was_listed
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, SAMPLE_NAMESPACE

FEDERATED = (
    ("FederatedNamespace", ISTIO_NAMESPACE, ISTIO_NAMESPACE),
    ("FederatedNamespace", SAMPLE_NAMESPACE, SAMPLE_NAMESPACE),
    ("FederatedSecret", ISTIO_NAMESPACE, "cacerts"),
    ("FederatedDeployment", SAMPLE_NAMESPACE, "helloworld"),
)
"""What Isthmus gives the federation to carry: kind, namespace, name (isthmus.kubefed_manifests)."""
DEPLOYMENTS = ("kubefed-controller-manager", "kubefed-admission-webhook")
"""KubeFed's own (its chart, charts/controllermanager)."""
CAUSES = {
    "ClusterNotReady": "its health check of that member fails",
    "CachedRetrievalFailed": "it cannot read that member's objects",
    "ClientRetrievalFailed": "it has no credentials for that member",
    "ApplyOverridesFailed": "an override does not fit the object",
    "AlreadyExists": "the object was there before, and KubeFed may not adopt it",
    "ManagedLabelFalse": "the object there has the label kubefed.io/managed=false",
    "CreationFailed": "that member refuses the object",
    "UpdateFailed": "that member refuses the change",
    "DeletionFailed": "that member does not delete it",
    "WaitingForRemoval": "it is being deleted there, and does not end",
    "NamespaceNotFederated": "its namespace is not federated",
}
"""KubeFed's words for what holds up an object (pkg/controller/sync/status/status.go)."""


@analyzer("F55", "KubeFed does not run, lacks a member, or has not carried an object everywhere")
def federation(snapshot: Snapshot) -> Iterator[Failure]:
    """Find what keeps the federation from giving every cluster its objects."""
    host = snapshot.host
    if snapshot.environment.get("federation", "kubefed") != "kubefed" or not host.reachable:
        return
    ours = _is_ours(snapshot)
    if ours and _is_absent(host):
        yield _no_kubefed(snapshot, host)
        return
    if ours:
        yield from _own_pods(snapshot, host)
    yield from _members(snapshot, host, ours)
    yield from _missing(snapshot, host)
    for kind in host.objects:
        if kind.startswith("Federated") and kind != "FederatedTypeConfig":
            for item in listed(host, kind):
                yield from _object(snapshot, host, item)


def _is_ours(snapshot: Snapshot) -> bool:
    """Tell whether Isthmus installed KubeFed, and not a cloud's console."""
    cloud = dig(snapshot.environment, "kce", "federation")
    return snapshot.environment.get("provider") != "kce" or cloud == "isthmus"


def _is_absent(host: ClusterSnapshot) -> bool:
    asked = was_listed(host, "KubeFedCluster") and was_listed(host, "Deployment")
    found = any(find(host, "Deployment", name, KUBEFED_NAMESPACE) for name in DEPLOYMENTS)
    return asked and not found and not listed(host, "KubeFedCluster")


def _no_kubefed(snapshot: Snapshot, host: ClusterSnapshot) -> Failure:
    return Failure(
        (host.name,),
        (f"{host.name}: no KubeFedCluster, no Deployment in {KUBEFED_NAMESPACE}",),
        "KubeFed was taken away, or never installed: what it carried stays, but nothing mends it",
        up(snapshot),
        object=f"Namespace {KUBEFED_NAMESPACE}",
    )


def _own_pods(snapshot: Snapshot, host: ClusterSnapshot) -> Iterator[Failure]:
    if not was_listed(host, "KubeFedCluster") or not was_listed(host, "Deployment"):
        return
    for name in DEPLOYMENTS:
        found = find(host, "Deployment", name, KUBEFED_NAMESPACE)
        count = dig(found, "status", "readyReplicas") or 0
        if found and count:
            continue
        text = f"Deployment {KUBEFED_NAMESPACE}/{name}"
        labels = pods.template_labels(found or {})
        of = pods.selected(host, KUBEFED_NAMESPACE, labels) if labels else []
        said = [f"{full_name(pod)}: {pods.complaint(pod)}" for pod in of]
        wants = f"{text}: wants {pods.replicas(found or {})} pods, {count} ready"
        yield Failure(
            (host.name,),
            (wants if found else f"there is no {text}", *said),
            "KubeFed carries, and takes back, nothing meanwhile: what changes on the host, or is "
            "deleted in a member, stays so"
            if name == DEPLOYMENTS[0]
            else "the API server refuses each change of a federated object: the webhook is there",
            _started(snapshot, host, name, found),
            object=text,
        )


def _started(snapshot: Snapshot, host: ClusterSnapshot, name: str, found: Object | None) -> str:
    if found and not pods.replicas(found):
        scale = f"-n {KUBEFED_NAMESPACE} scale deployment/{name} --replicas=1"
        return kubectl(host.name, scale)
    return up(snapshot)


def _members(snapshot: Snapshot, host: ClusterSnapshot, ours: bool) -> Iterator[Failure]:
    if not was_listed(host, "KubeFedCluster"):
        return
    known = {name_of(item): item for item in listed(host, "KubeFedCluster")}
    for cluster, member in _names(snapshot, ours).items():
        text = f"KubeFedCluster {KUBEFED_NAMESPACE}/{member}"
        found = known.pop(member, None)
        if found is None:
            cause = "the cluster was not joined to the federation, or was taken out of it"
            seen = (f"there is no {text}", f"there are: {', '.join(known) or 'none'}")
            yield Failure((cluster,), seen, cause, up(snapshot), object=text)
        elif not is_ready(found):
            yield _not_ready(snapshot, cluster, found, text)


def _names(snapshot: Snapshot, ours: bool) -> dict[str, str]:
    """Return each cluster's name in the federation; a console's own names may not be known."""
    specs = [snapshot.environment.get("host"), *mappings(snapshot.environment.get("remotes"))]
    named = {str(dig(s, "name")): dig(s, "member") for s in specs if dig(s, "name")}
    return {name: str(member or name) for name, member in named.items() if ours or member}


def _not_ready(snapshot: Snapshot, cluster: str, found: Object, text: str) -> Failure:
    said = [_condition(condition) for condition in conditions(found).values()]
    return Failure(
        (cluster,),
        (f"{text}: not Ready", f"apiEndpoint: {dig(found, 'spec', 'apiEndpoint')}", *said),
        "KubeFed's health check fails: either the member's API server does not answer the host's "
        "pods at that address, or the credentials of the membership are no longer good",
        up(snapshot),
        object=text,
        certain=False,
    )


def _condition(condition: Object) -> str:
    words = (condition.get("reason"), condition.get("message"), condition.get("lastProbeTime"))
    said = ", ".join(str(word) for word in words if word)
    return f"{condition.get('type')} is {condition.get('status')}: {said}"


def _missing(snapshot: Snapshot, host: ClusterSnapshot) -> Iterator[Failure]:
    for kind, namespace, name in FEDERATED:
        if was_listed(host, kind) and not find(host, kind, name, namespace):
            text = f"{kind} {namespace}/{name}"
            yield Failure(
                (host.name,),
                (f"there is no {text}",),
                "somebody deleted it; KubeFed then deletes in each member what it had made of it",
                up(snapshot),
                object=text,
            )


def _object(snapshot: Snapshot, host: ClusterSnapshot, item: Object) -> Iterator[Failure]:
    told = conditions(item).get("Propagation", {})
    held = {str(c.get("name")): str(c["status"]) for c in _clusters(item) if c.get("status")}
    if not told or (told.get("status") == "True" and not held):
        return
    reason = str(told.get("reason") or "")
    words = dict.fromkeys([*held.values(), *([reason] if reason in CAUSES else [])])
    why = [f"{word}: {CAUSES[word]}" for word in words if word in CAUSES]
    for cluster in _clusters_of(snapshot, held) or [host.name]:
        yield Failure(
            (cluster,),
            (
                f"{full_name(item)}: Propagation is {told.get('status')}, {reason or 'no reason'}",
                *(f"{name}: {status}" for name, status in held.items()),
            ),
            "KubeFed has not carried the object there: " + ("; ".join(why) or "it says no more"),
            up(snapshot),
            object=full_name(item),
            certain=bool(why),
        )


def _clusters(item: Object) -> list[Any]:
    return mappings(dig(item, "status", "clusters"))


def _clusters_of(snapshot: Snapshot, held: dict[str, str]) -> list[str]:
    """Return the clusters by the names that the environment has for them."""
    names = {member: cluster for cluster, member in _names(snapshot, True).items()}
    return [names.get(member, member) for member in held]


ANALYZERS = (federation,)
