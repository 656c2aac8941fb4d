"""Why a pod has no sidecar, or none that takes mutual TLS, and what gives it one."""

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig, pairs
from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.objects import (
    annotations_of,
    container,
    find,
    labels_of,
    name_of,
    namespace_of,
)
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import SAMPLE_NAMESPACE

INJECT = "sidecar.istio.io/inject"
TLS_MODE = "security.istio.io/tlsMode"
"""Label of each injected pod; without the value `istio` its endpoints take no mutual TLS (istio
pilot/pkg/serviceregistry/kube/conversion.go, PodTLSMode)."""


def has_proxy(pod: Object) -> bool:
    """Tell whether a pod has Istio's proxy."""
    return container(pod, "istio-proxy") is not None


def why_not_injected(
    snapshot: Snapshot, cluster: ClusterSnapshot, pod: Object
) -> tuple[str, str, bool]:
    """Return why a pod has no sidecar or label, what to type, and whether that is certain."""
    again = kubectl(cluster.name, pods.restart(cluster, pod))
    space = namespace_of(pod)
    if has_proxy(pod):
        return (
            f"somebody set, or took away, its label {TLS_MODE}",
            _unlabelled(cluster, pod, TLS_MODE),
            True,
        )
    if dig(pod, "spec", "hostNetwork") is True:
        why = "pods on the host's network get no sidecar (hostNetwork)"
        return why, _edit_owner(cluster, pod), True
    asked = labels_of(pod).get(INJECT) or annotations_of(pod).get(INJECT)
    if asked == "false":
        return f"its {INJECT} is false", _unlabelled(cluster, pod, INJECT), True
    if not _is_injected(cluster, space, asked):
        why = f"Namespace {space} has no label istio-injection=enabled"
        label = kubectl(
            cluster.name, f"label namespace {space} istio-injection=enabled --overwrite"
        )
        return why, f"{up(snapshot) if space == SAMPLE_NAMESPACE else label}\n{again}", True
    why = (
        "either it was created before its namespace was labelled, or while the webhook that "
        "injects sidecars was not there"
    )
    return why, again, False


def _is_injected(cluster: ClusterSnapshot, namespace: str, asked: str | None) -> bool:
    space = find(cluster, "Namespace", namespace)
    if space is None:
        return True  # nobody knows
    labels = labels_of(space)
    by_label = "istio.io/rev" in labels or labels.get("istio-injection") == "enabled"
    return by_label or (asked == "true" and labels.get("istio-injection") != "disabled")


def _unlabelled(cluster: ClusterSnapshot, pod: Object, key: str) -> str:
    """Return the command that takes a label, or annotation, away and replaces the pods."""
    owner = pods.owner_of(cluster, pod)
    if owner is None:
        return _edit_owner(cluster, pod)
    meta = dig(owner, "spec", "template", "metadata")
    parts = [part for part in ("labels", "annotations") if key in pairs(dig(meta, part))]
    if not parts:
        return kubectl(cluster.name, pods.restart(cluster, pod))
    path = f"/spec/template/metadata/{parts[0]}/{key.replace('/', '~1')}"
    patch = f'[{{"op":"remove","path":"{path}"}}]'
    where = f"-n {namespace_of(owner)} patch deployment {name_of(owner)}"
    return kubectl(cluster.name, f"{where} --type=json -p '{patch}'")


def _edit_owner(cluster: ClusterSnapshot, pod: Object) -> str:
    owner = pods.owner_of(cluster, pod)
    what = f"deployment {name_of(owner)}" if owner else f"pod {name_of(pod)}"
    return kubectl(cluster.name, f"-n {namespace_of(pod)} edit {what}")
