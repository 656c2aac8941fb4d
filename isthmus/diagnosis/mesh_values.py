"""What must be alike in all clusters of a mesh, by who says it, and which namespaces are in it."""

from collections.abc import Iterator, Sequence

import yaml

from isthmus.diagnosis.fields import dig, mappings, selects, texts
from isthmus.diagnosis.istio_rules import mesh_config
from isthmus.diagnosis.objects import (
    container,
    environment_of,
    find,
    full_name,
    has_sidecar,
    is_ending,
    labels_of,
    listed,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE

DOMAIN_FLAG = "--domain"
"""Of pilot-agent: `$(POD_NAMESPACE).svc.cluster.local` (istio files/injection-template.yaml)."""
SPIFFE = "spiffe://"


Configured = Sequence[tuple[str, Object]]
"""Where a cluster has MeshConfig, and what it is there."""


def values_of(cluster: ClusterSnapshot, what: str, configured: Configured) -> dict[str, list[str]]:
    """Return each value of one thing that a cluster's parts have, and which parts have it."""
    found: dict[str, list[str]] = {}
    for value, place in _SAYING[what](cluster, configured):
        if value and place not in found.setdefault(value, []):
            found[value].append(place)
    return found


def _trust_domains(cluster: ClusterSnapshot, configured: Configured) -> Iterator[tuple[str, str]]:
    for place, mesh in configured:
        yield str(mesh.get("trustDomain") or ""), place
    for pod, variables in _variables(cluster):
        yield variables.get("TRUST_DOMAIN", ""), full_name(pod)
    for proxy in cluster.proxies:
        for name in proxy.leaf[0].sans if proxy.leaf else ():
            own = name.removeprefix(SPIFFE).partition("/")[0] if name.startswith(SPIFFE) else ""
            yield own, f"the certificate of {proxy.namespace}/{proxy.pod}"


def _mesh_ids(cluster: ClusterSnapshot, configured: Configured) -> Iterator[tuple[str, str]]:
    for place, mesh in configured:
        yield str(dig(mesh, "defaultConfig", "meshId") or ""), place
    for pod, variables in _variables(cluster):
        yield variables.get("ISTIO_META_MESH_ID", ""), full_name(pod)


def _domains(cluster: ClusterSnapshot, _: Configured) -> Iterator[tuple[str, str]]:
    for pod in _pods(cluster):
        args = texts((container(pod, "istio-proxy") or {}).get("args"))
        if DOMAIN_FLAG in args[:-1]:
            said = args[args.index(DOMAIN_FLAG) + 1]
            yield said.partition(".svc.")[2], full_name(pod)


_SAYING = {"trust domain": _trust_domains, "mesh ID": _mesh_ids, "DNS domain": _domains}


def configurations(snapshot: Snapshot) -> dict[str, Configured]:
    """Return MeshConfig as istiods have it in force, and as the ConfigMap has it, by cluster."""
    texts_of = {c.name: _config_map(c) for c in snapshot.clusters}
    read = {text: _mesh(text) for text in dict.fromkeys(texts_of.values())}
    found: dict[str, Configured] = {}
    for cluster in snapshot.clusters:
        running = [(f"istiod {i.pod}", i.mesh) for i in cluster.istiods if i.mesh]
        # The host's istiod reads a remote's, too, for its trust domain (multicluster.go).
        mesh = read[texts_of[cluster.name]]
        stored = [] if mesh is None else [(f"ConfigMap {ISTIO_NAMESPACE}/istio", mesh)]
        found[cluster.name] = [*running, *stored]
    return found


def _config_map(cluster: ClusterSnapshot) -> str:
    return str(dig(find(cluster, "ConfigMap", "istio", ISTIO_NAMESPACE), "data", "mesh") or "")


def _mesh(text: str) -> Object | None:
    try:
        mesh = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return mesh if isinstance(mesh, dict) else None


def _variables(cluster: ClusterSnapshot) -> Iterator[tuple[Object, dict[str, str]]]:
    for pod in _pods(cluster):
        yield pod, environment_of(pod, "istio-proxy")


def _pods(cluster: ClusterSnapshot) -> list[Object]:
    return [p for p in listed(cluster, "Pod") if has_sidecar(p) and not is_ending(p)]


def injected_namespaces(cluster: ClusterSnapshot) -> list[Object]:
    """Return the namespaces whose label asks for sidecars."""
    return [space for space in listed(cluster, "Namespace") if is_injected(space)]


def is_injected(space: Object) -> bool:
    """Tell whether a namespace's label asks for sidecars; istio-injection goes before a revision.

    Source: istio manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml.
    """
    labels = labels_of(space)
    if "istio-injection" in labels:
        return labels["istio-injection"] == "enabled"
    ambient = labels.get("istio.io/dataplane-mode") == "ambient"
    return bool(labels.get("istio.io/rev")) and not ambient


def selected_namespaces(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[Object]:
    """Return the namespaces that istiod looks at, by MeshConfig's discoverySelectors.

    Source: istio pkg/kube/namespace/filter.go: without selectors all, else those of any of them.
    """
    found = listed(cluster, "Namespace")
    selectors = mappings(mesh_config(snapshot).get("discoverySelectors"))
    if not selectors:
        return found
    return [s for s in found if any(selects(each, labels_of(s)) for each in selectors)]
