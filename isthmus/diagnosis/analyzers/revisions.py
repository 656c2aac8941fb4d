"""Versions and revisions of Istio's parts: do they go together, and is each served."""

from collections.abc import Iterator

from isthmus.diagnosis import versions
from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import SHOWN, shown, stack_of
from isthmus.diagnosis.mesh_values import injected_namespaces
from isthmus.diagnosis.objects import (
    find,
    full_name,
    labels_of,
    listed,
    name_of,
    was_listed,
)
from isthmus.diagnosis.services import restarts, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE, MESH_NAMESPACES

WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
OF_ISTIO = ("sidecar-injector.istio.io", "validation.istio.io")
"""How the names of Istio's webhooks end (istio-discovery's templates)."""
REVISION, TAG = "istio.io/rev", "istio.io/tag"


@analyzer("F25", "Istio's parts are of versions or revisions that do not go together")
def skew(snapshot: Snapshot) -> Iterator[Failure]:
    """Find proxies too old or too new, webhooks without a Service, revisions that nobody serves."""
    yield from _versions(snapshot)
    for cluster in snapshot.clusters:
        yield from _dead_webhooks(snapshot, cluster)
        yield from _unserved(snapshot, cluster)


def _versions(snapshot: Snapshot) -> Iterator[Failure]:
    """Compare minors with the oldest istiod that serves: it may be one ahead of proxies, no more.

    Source: istio.io/latest/docs/releases/supported-releases, Control Plane/Data Plane Skew.
    """
    told = {v: i.version for i in snapshot.host.istiods if (v := versions.parsed(i.version))}
    if not told or min(told)[0] == 0:
        return
    plane = min(told)
    for cluster in snapshot.clusters:
        parts = [(p.version, f"{p.namespace}/{p.pod}") for p in cluster.proxies]
        if cluster is not snapshot.host or len(told) > 1:
            parts += [(i.version, f"{ISTIO_NAMESPACE}/{i.pod}") for i in cluster.istiods]
        found: dict[str, list[str]] = {}
        for version, name in parts:
            own = versions.parsed(version)
            if own and own[0] and own[:2] != plane[:2]:
                found.setdefault(version, []).append(name)
        if found:
            yield _skewed(snapshot, cluster, plane, told[plane], found)


def _skewed(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    plane: versions.Version,
    text: str,
    found: dict[str, list[str]],
) -> Failure:
    parsed = [v for version in found if (v := versions.parsed(version))]
    steps = [plane[1] - own[1] if own[0] == plane[0] else 99 for own in parsed]
    severity: Severity = "warning" if all(0 <= step <= 1 for step in steps) else "error"
    spaces = dict.fromkeys(n.partition("/")[0] for names in found.values() for n in names)
    return Failure(
        clusters=(cluster.name,),
        object=f"Istio {shown(found)}",
        evidence=(
            f"{snapshot.host.name}: istiod {text}",
            *(f"{cluster.name}: Istio {v} in {shown(names)}" for v, names in found.items()),
        ),
        cause="pods were not made anew after istiod was changed: it may be one minor version "
        "ahead of proxies, and never behind them",
        fix="\n".join([up(snapshot), *restarts(cluster.name, spaces)]),
        severity=severity,
    )


def _dead_webhooks(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[Failure]:
    """Find Services of istiod's that are not there, and the webhooks of Istio's that ask them."""
    asking: dict[str, list[tuple[Object, Object]]] = {}
    for kind in WEBHOOKS if was_listed(cluster, "Service") else ():
        for configuration in listed(cluster, kind):
            for hook, name in _dead(cluster, configuration):
                asking.setdefault(name, []).append((configuration, hook))
    if cluster is not snapshot.host and not stack_of(snapshot).istiod_in_remotes:
        asking.pop(f"{ISTIO_NAMESPACE}/istiod", None)  # F11
    for name, found in asking.items():
        ignored = all(hook.get("failurePolicy") == "Ignore" for _, hook in found)
        yield Failure(
            clusters=(cluster.name,),
            object=f"Service {name}",
            evidence=(
                f"{cluster.name} has no Service {name}",
                *(f"{full_name(c)}: {hook.get('name')} asks it" for c, hook in found[:SHOWN]),
            ),
            cause="the revision of istiod that these webhooks are of is not installed here, or its "
            "Service was deleted",
            fix=_mend(snapshot, cluster, [configuration for configuration, _ in found]),
            severity="warning" if ignored else "error",
        )


def _dead(cluster: ClusterSnapshot, configuration: Object) -> Iterator[tuple[Object, str]]:
    for hook in mappings(configuration.get("webhooks")):
        to = dig(hook, "clientConfig", "service")
        name, space = str(dig(to, "name") or ""), str(dig(to, "namespace") or "")
        of_istio = str(hook.get("name", "")).endswith(OF_ISTIO)
        if name and of_istio and find(cluster, "Service", name, space) is None:
            yield hook, f"{space}/{name}"


def _mend(snapshot: Snapshot, cluster: ClusterSnapshot, found: list[Object]) -> str:
    """Return what mends it: what Isthmus made it makes anew, a leftover of others is deleted."""
    if any(labels_of(each).get(REVISION, "default") == "default" for each in found):
        return up(snapshot)
    gone = dict.fromkeys(f"{str(each.get('kind')).lower()} {name_of(each)}" for each in found)
    return "\n".join(kubectl(cluster.name, f"delete {each}") for each in gone)


def _unserved(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[Failure]:
    """Find namespaces that ask for a revision, or a tag, that no injector of the cluster is of."""
    if not was_listed(cluster, WEBHOOKS[0]):
        return
    found = [labels_of(c) for c in listed(cluster, WEBHOOKS[0])]
    served = {labels.get(key) for labels in found for key in (REVISION, TAG)} - {None}
    for space in injected_namespaces(cluster):
        labels = labels_of(space)
        wanted = labels.get(REVISION, "")
        if "istio-injection" in labels or wanted in served:
            continue
        known = shown(sorted(filter(None, served))) or "none"
        yield Failure(
            clusters=(cluster.name,),
            object=full_name(space),
            evidence=(
                f"{cluster.name}: {full_name(space)} has {REVISION}={wanted}",
                f"{cluster.name}: injectors are of the revisions {known}",
            ),
            cause="no injector takes the namespace's pods, so new ones get no sidecar",
            fix=_relabel(snapshot, cluster, space),
        )


def _relabel(snapshot: Snapshot, cluster: ClusterSnapshot, space: Object) -> str:
    """Return what lets the default revision inject; a federation undoes labels of its own."""
    if name_of(space) in MESH_NAMESPACES:
        return up(snapshot)
    label = f"label namespace {name_of(space)} {REVISION}- istio-injection=enabled"
    return kubectl(cluster.name, label)


ANALYZERS = (skew,)
