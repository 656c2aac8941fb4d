"""Rules that keep requests near: meant so, but they look as if the other regions were lost."""

from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings, texts
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.istio_rules import mesh_config, most_specific, virtual_service
from isthmus.diagnosis.load_balancing import (
    DISTRIBUTION,
    distribution,
    edit,
    has_outlier_detection,
    locality_setting,
    mesh_locality,
    policy_in_force,
)
from isthmus.diagnosis.objects import full_name, name_of, namespace_of
from isthmus.diagnosis.routing import ways
from isthmus.diagnosis.services import (
    MeshService,
    about,
    pods_of,
    reachable,
    service_in,
    services,
    stack_of,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE


class Reason(NamedTuple):
    """What keeps requests near."""

    what: str
    """The object that does it."""
    seen: str
    fix: str
    """The command that takes it away."""


@analyzer("F27", "Only some regions answer, as a rule says", severity="info")
def kept_near(snapshot: Snapshot) -> Iterator[Failure]:
    """Find rules by which requests stay in their own cluster, network or region."""
    for service in services(snapshot):
        having = [c for c in reachable(snapshot) if pods_of(c, service)]
        if len(having) < 2:
            continue
        by_object: dict[str, list[Reason]] = {}
        for reason in (
            *_mesh_wide(snapshot, service),
            *_by_service(snapshot, service),
            *_by_locality(snapshot, service),
            *_pinned(snapshot, service, having),
        ):
            by_object.setdefault(reason.what, []).append(reason)
        names = ", ".join(c.name for c in having)
        for what, reasons in by_object.items():
            yield Failure(
                (snapshot.host.name,),
                (*(r.seen for r in reasons), f"{service.text} has pods in {names}"),
                "that is what the rule asks for: requests go elsewhere only when those that it "
                "prefers do not answer, or never",
                "\n".join(dict.fromkeys(r.fix for r in reasons)),
                object=about(what, service),
            )


def _mesh_wide(snapshot: Snapshot, service: MeshService) -> Iterator[Reason]:
    """Yield a setting of the mesh that makes the service cluster-local."""
    told: dict[str, bool] = {}
    for setting in mappings(mesh_config(snapshot).get("serviceSettings")):
        local = dig(setting, "settings", "clusterLocal") is True
        told |= dict.fromkeys(texts(setting.get("hosts")), local)
    host, config = most_specific(told, service.host), f"ConfigMap {ISTIO_NAMESPACE}/istio"
    if told.get(host):
        seen = f"MeshConfig: serviceSettings make {host} clusterLocal"
        yield Reason(config, seen, edit(snapshot, None))
    for istiod in snapshot.host.istiods[:1]:
        if istiod.env.get("ENABLE_MCS_CLUSTER_LOCAL") == "true":
            seen = f"Pod {istiod.pod}: ENABLE_MCS_CLUSTER_LOCAL is true: *.cluster.local stays near"
            words = f"-n {ISTIO_NAMESPACE} set env deployment/istiod ENABLE_MCS_CLUSTER_LOCAL-"
            fix = kubectl(snapshot.host.name, words)
            yield Reason(f"Deployment {ISTIO_NAMESPACE}/istiod", seen, fix)


def _by_service(snapshot: Snapshot, service: MeshService) -> Iterator[Reason]:
    """Yield what the host's Service says: istiod takes it for all clusters."""
    found, stack, host = service_in(snapshot.host, service), stack_of(snapshot), snapshot.host.name
    where, name = f"-n {service.namespace}", f"service {service.name}"
    if word := distribution(snapshot, service):
        patch = """--type=json -p '[{"op":"remove","path":"/spec/trafficDistribution"}]'"""
        noted = dig(found, "spec", "trafficDistribution") is None
        fix = f"annotate {name} {DISTRIBUTION}-" if noted else f"patch {name} {patch}"
        seen = f"{host}: {service.text}: trafficDistribution is {word}"
        yield Reason(service.text, seen, kubectl(host, f"{where} {fix}"))
    # Istio 1.7 does not know it.
    known = stack is not None and not stack.istiod_in_remotes
    if known and dig(found, "spec", "internalTrafficPolicy") == "Local":
        patch = """-p '{"spec":{"internalTrafficPolicy":"Cluster"}}'"""
        seen = f"{host}: {service.text}: internalTrafficPolicy is Local: the own node's pods alone"
        yield Reason(service.text, seen, kubectl(host, f"{where} patch {name} {patch}"))


def _by_locality(snapshot: Snapshot, service: MeshService) -> Iterator[Reason]:
    """Yield a locality setting that somebody wrote and that is in force."""
    rule, policy = policy_in_force(snapshot, service)
    own = locality_setting(policy)
    setting = own if isinstance(own, dict) else mesh_locality(snapshot)
    kinds = [k for k in ("distribute", "failover", "failoverPriority") if setting.get(k)]
    zoned = dig(policy, "loadBalancer", "zoneAwareLbSetting") is not None
    # Without outlierDetection, failover does nothing (istio loadbalancer.go, ApplyToCluster).
    works = has_outlier_detection(snapshot, policy) and bool(kinds or own is not None)
    if setting.get("enabled") is not False and (zoned or "distribute" in kinds or works):
        by = rule if own is not None else None
        what = full_name(by) if by else f"ConfigMap {ISTIO_NAMESPACE}/istio"
        words = ", ".join(kinds) or ("zoneAwareLbSetting" if zoned else "localityLbSetting")
        yield Reason(what, f"{what}: {words} for {service.host}", edit(snapshot, by))


def _pinned(
    snapshot: Snapshot, service: MeshService, having: list[ClusterSnapshot]
) -> Iterator[Reason]:
    """Yield a VirtualService whose subsets have pods in some of the clusters alone."""
    rule = virtual_service(snapshot, service, service.namespace)
    told: list[str] = []
    for cluster in having if rule else ():
        for way in ways(snapshot, service, cluster):
            if way.reached and way.reached < {c.name for c in having}:
                when = "" if way.sure else " that match"
                names = ", ".join(sorted(way.reached))
                told.append(f"requests{when} from {cluster.name} go to {names} alone")
    if rule and told:
        words = f"-n {namespace_of(rule)} edit virtualservices.networking.istio.io {name_of(rule)}"
        seen = f"{full_name(rule)}: {'; '.join(dict.fromkeys(told))}"
        yield Reason(full_name(rule), seen, kubectl(snapshot.host.name, words))


ANALYZERS = (kept_near,)
