"""Finding things in a snapshot: by name, label, container; never an error if not there."""

from collections.abc import Iterator, Mapping

from isthmus.diagnosis.snapshot import ClusterSnapshot, Object


def listed(cluster: ClusterSnapshot, kind: str, namespace: str | None = None) -> list[Object]:
    """Return the objects of a kind, in one namespace or in all."""
    found = cluster.objects.get(kind, [])
    return list(found) if namespace is None else [o for o in found if namespace_of(o) == namespace]


def was_listed(cluster: ClusterSnapshot, kind: str) -> bool:
    """Tell whether the cluster answered what objects of a kind there are; else none is no news."""
    return kind in cluster.objects


def find(cluster: ClusterSnapshot, kind: str, name: str, namespace: str = "") -> Object | None:
    """Return one object, or None."""
    for item in cluster.objects.get(kind, []):
        if name_of(item) == name and namespace_of(item) == namespace:
            return item
    return None


def labelled(
    cluster: ClusterSnapshot, kind: str, labels: Mapping[str, str], namespace: str | None = None
) -> list[Object]:
    """Return the objects of a kind that have all these labels."""
    return [o for o in listed(cluster, kind, namespace) if labels.items() <= labels_of(o).items()]


def name_of(item: Object) -> str:
    """Return an object's name."""
    return str(item.get("metadata", {}).get("name", ""))


def namespace_of(item: Object) -> str:
    """Return an object's namespace, empty for one of the cluster."""
    return str(item.get("metadata", {}).get("namespace") or "")


def labels_of(item: Object) -> dict[str, str]:
    """Return an object's labels."""
    return dict(item.get("metadata", {}).get("labels") or {})


def annotations_of(item: Object) -> dict[str, str]:
    """Return an object's annotations, as far as a snapshot keeps them."""
    return dict(item.get("metadata", {}).get("annotations") or {})


def full_name(item: Object) -> str:
    """Return `Kind namespace/name`, as messages name an object."""
    place = f"{namespace_of(item)}/" if namespace_of(item) else ""
    return f"{item.get('kind', '')} {place}{name_of(item)}"


def containers(pod: Object) -> Iterator[Object]:
    """Yield a pod's containers, native sidecars among them."""
    spec = pod.get("spec", {})
    yield from spec.get("initContainers") or []
    yield from spec.get("containers") or []


def container(pod: Object, name: str) -> Object | None:
    """Return a pod's container of that name, or None."""
    return next((c for c in containers(pod) if c.get("name") == name), None)


def environment_of(pod: Object, name: str) -> dict[str, str]:
    """Return the variables of a container that its manifest sets by value."""
    found = (container(pod, name) or {}).get("env") or []
    return {str(e["name"]): str(e["value"]) for e in found if "value" in e}


def has_sidecar(pod: Object) -> bool:
    """Tell whether a pod has a proxy of Istio's that stands beside a program."""
    return container(pod, "istio-proxy") is not None and "istio" not in labels_of(pod)


def has_running_proxy(pod: Object) -> bool:
    """Tell whether a pod's proxy of Istio's runs, and the pod is not ending."""
    status = pod.get("status", {})
    every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    states = [s.get("state", {}) for s in every if s.get("name") == "istio-proxy"]
    return not is_ending(pod) and any("running" in state for state in states)


def is_ready(item: Object) -> bool:
    """Tell whether an object's condition Ready is True."""
    conditions = item.get("status", {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def is_ending(item: Object) -> bool:
    """Tell whether an object was deleted and waits for its end."""
    return bool(item.get("metadata", {}).get("deletionTimestamp"))
