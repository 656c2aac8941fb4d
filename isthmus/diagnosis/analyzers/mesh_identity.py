"""One mesh: trust domain, mesh ID, DNS domain, and the root that every namespace must be given."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import created, dig, texts
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import shown, stack_of
from isthmus.diagnosis.istio_rules import mesh_config
from isthmus.diagnosis.mesh_values import (
    configurations,
    injected_namespaces,
    selected_namespaces,
    values_of,
)
from isthmus.diagnosis.objects import (
    annotations_of,
    find,
    name_of,
    was_listed,
)
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.diagnosis.trust import ROOT_CONFIG_MAP
from isthmus.environment.namespaces import ISTIO_NAMESPACE

CONTROL_PLANES = "topology.istio.io/controlPlaneClusters"
"""By which a remote says whose istiod serves it: that one writes the root into its namespaces and
its webhooks (istio pilot/pkg/serviceregistry/kube/controller/multicluster.go, checkShouldLead)."""
TRUST_BUNDLES, OTHER_NAME = "ENABLE_CLUSTER_TRUST_BUNDLE_API", "PILOT_CA_CERT_CONFIGMAP"
"""With these istiod gives the root out by another object (istio pilot/pkg/features)."""
SETTLED = 60.0
"""Seconds that a new namespace may be without what istiod writes into it."""
EFFECTS = {
    "trust domain": "their certificates are of another trust domain, so peers that check names "
    "refuse each other",
    "mesh ID": "they are of another mesh for telemetry and for what is decided by the mesh's ID",
    "DNS domain": "their Services have other full names, so one name is not one service",
}


@analyzer("F22", "Clusters differ in trust domain, mesh ID or DNS domain")
def differs(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters whose configuration, or whose running proxies, differ from the host's."""
    host, configs = snapshot.host, configurations(snapshot)
    aliases = set(texts(mesh_config(snapshot).get("trustDomainAliases")))
    for what, effect in EFFECTS.items():
        wanted = values_of(host, what, configs[host.name])
        allowed = set(wanted) | (aliases if what == "trust domain" else set())
        for cluster in snapshot.clusters if wanted else ():
            found = values_of(cluster, what, configs[cluster.name])
            other = {value: places for value, places in found.items() if value not in allowed}
            mixed = cluster is host and len(set(wanted) - aliases) > 1
            if other or mixed:
                known = {} if cluster is host else wanted
                yield _differing(snapshot, cluster, what, other or wanted, known, effect)


def _differing(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    what: str,
    found: dict[str, list[str]],
    wanted: dict[str, list[str]],
    effect: str,
) -> Failure:
    host = snapshot.host
    lines = [f"{cluster.name}: {what} {v} in {shown(p)}" for v, p in found.items()]
    lines += [f"{host.name}: {what} {v} in {shown(p)}" for v, p in wanted.items()]
    return Failure(
        clusters=(cluster.name,),
        object=what,
        evidence=tuple(lines),
        cause=f"it was set in one cluster alone, or changed after the pods were made: {effect}",
        fix="# say it alike in `overlays` for host and remotes of the environment file, then:\n"
        f"{up(snapshot)}\n# and make pods anew that still have another one:\n"
        f"{kubectl(cluster.name, '-n sample rollout restart deployment')}",
        severity="warning" if what == "mesh ID" else "error",
    )


@analyzer("F23", "A namespace is without the mesh's root: istio-ca-root-cert")
def no_root(snapshot: Snapshot) -> Iterator[Failure]:
    """Find remotes that do not name the host's control plane, and namespaces without a root."""
    told = [istiod.env for istiod in snapshot.host.istiods]
    if any(env.get(TRUST_BUNDLES) == "true" or env.get(OTHER_NAME) for env in told):
        return
    for cluster in snapshot.clusters:
        lacking = _lacking(snapshot, cluster)
        led = cluster is snapshot.host or stack_of(snapshot).istiod_in_remotes
        space = find(cluster, "Namespace", ISTIO_NAMESPACE)
        named = annotations_of(space or {}).get(CONTROL_PLANES, "")
        if space and not led and not {"*", snapshot.host.name} & set(named.split(",")):
            yield _unnamed(snapshot, cluster, named, lacking)
        elif lacking:
            yield _without(snapshot, cluster, lacking, led)


def _lacking(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[str]:
    """Return the namespaces with pods of the mesh in which the ConfigMap is not."""
    if not was_listed(cluster, "ConfigMap"):
        return []
    spaces = [*injected_namespaces(cluster), find(cluster, "Namespace", ISTIO_NAMESPACE)]
    chosen = {name_of(s) for s in selected_namespaces(snapshot, cluster)}
    return [
        name_of(space)
        for space in spaces
        if space
        and name_of(space) in chosen
        and not _is_new(snapshot, space)
        and find(cluster, "ConfigMap", ROOT_CONFIG_MAP, name_of(space)) is None
    ]


def _is_new(snapshot: Snapshot, space: Object) -> bool:
    ending = dig(space, "status", "phase") == "Terminating"
    return ending or created(space) > snapshot.taken_at - SETTLED


def _unnamed(
    snapshot: Snapshot, cluster: ClusterSnapshot, named: str, lacking: list[str]
) -> Failure:
    host = snapshot.host.name
    has = f"{named!r}" if named else "missing"
    without = [f"{cluster.name}: no {ROOT_CONFIG_MAP} in {shown(lacking)}"] if lacking else []
    note = f"annotate namespace {ISTIO_NAMESPACE} {CONTROL_PLANES}={host} --overwrite"
    return Failure(
        clusters=(cluster.name,),
        object=f"Namespace {ISTIO_NAMESPACE}",
        evidence=(
            f"{cluster.name}: annotation {CONTROL_PLANES} of Namespace {ISTIO_NAMESPACE} is {has}",
            *without,
        ),
        cause=f"istiod of {host} writes its root and the injector's caBundle only into clusters "
        "that name it by this annotation; it looks when it first reads a cluster",
        # istiod looks at it once: only a new one looks again.
        fix=f"{kubectl(cluster.name, note)}\n{_restart(host)}",
        severity="error" if lacking else "warning",
    )


def _without(
    snapshot: Snapshot, cluster: ClusterSnapshot, lacking: list[str], led: bool
) -> Failure:
    by = cluster.name if led else snapshot.host.name
    return Failure(
        clusters=(cluster.name,),
        object=f"ConfigMap {ROOT_CONFIG_MAP}",
        evidence=tuple(f"{cluster.name}: no {ROOT_CONFIG_MAP} in {name}" for name in lacking[:5]),
        cause=f"istiod of {by} makes it, and makes it anew if it is deleted: either it does not "
        "read the cluster or may not write there, or its leader election is stuck",
        fix=f"{up(snapshot)}\n{_restart(by)}",
        certain=False,
    )


def _restart(cluster: str) -> str:
    return kubectl(cluster, f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod")


ANALYZERS = (differs, no_root)
