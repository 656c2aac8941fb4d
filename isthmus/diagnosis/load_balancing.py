"""Which traffic policy is in force for a service, and what it says of locality and outliers."""

from typing import Any

from isthmus.diagnosis.fields import dig, number
from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.istio_rules import destination_rules, mesh_config, traffic_policy
from isthmus.diagnosis.objects import annotations_of, labels_of, name_of, namespace_of
from isthmus.diagnosis.services import (
    MeshService,
    callers,
    ports,
    reachable,
    service_in,
    stack_of,
    up,
)
from isthmus.diagnosis.snapshot import Object, Snapshot

NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
"""A Service's trafficDistribution by which Istio prefers the own network, too (istio
pilot/pkg/networking/core/loadbalancer, GetEffectiveLbSetting)."""
DISTRIBUTION = "networking.istio.io/traffic-distribution"
DESTINATION_RULES = "destinationrules.networking.istio.io"


def policy_in_force(snapshot: Snapshot, service: MeshService) -> tuple[Object | None, Object]:
    """Return the traffic policy in force for a service's callers, and the rule that has it."""
    labels = next((labels_of(p) for c in reachable(snapshot) for p in callers(c, service)), {})
    found = next((s for c in reachable(snapshot) if (s := service_in(c, service))), None)
    port = next((number(p.get("port")) for p in ports(found)), None)
    for rule in destination_rules(snapshot, service, service.namespace, labels):
        if policy := traffic_policy(rule, int(port) if port else None):
            return rule, policy
    return None, {}


def locality_setting(policy: Object) -> Any:
    """Return what a traffic policy says of locality; None if it leaves that to the mesh."""
    balancer = policy.get("loadBalancer")
    zoned = dig(balancer, "zoneAwareLbSetting")
    return zoned if zoned is not None else dig(balancer, "localityLbSetting")


def mesh_locality(snapshot: Snapshot) -> Object:
    """Return what MeshConfig says of locality; by default it is on."""
    found = mesh_config(snapshot).get("localityLbSetting")
    return found if isinstance(found, dict) else {}


def has_outlier_detection(snapshot: Snapshot, policy: Object) -> bool:
    """Tell whether endpoints are ejected: by the policy, or by the mesh's default."""
    default = dig(mesh_config(snapshot), "defaultTrafficPolicy", "outlierDetection")
    return policy.get("outlierDetection") is not None or default is not None


def distribution(snapshot: Snapshot, service: MeshService) -> str:
    """Return the trafficDistribution that istiod takes for a service: the host's; else nothing."""
    found, stack = service_in(snapshot.host, service), stack_of(snapshot)
    if found is None or stack is None or stack.istiod_in_remotes:
        return ""  # Istio 1.7 does not know it
    said = dig(found, "spec", "trafficDistribution") or annotations_of(found).get(DISTRIBUTION)
    return str(said) if str(said).lower() in {word.lower() for word in NEAR} else ""


def edit(snapshot: Snapshot, rule: Object | None) -> str:
    """Return the commands that open a DestinationRule, or MeshConfig, in an editor."""
    if rule is None:
        config = kubectl(snapshot.host.name, "-n istio-system edit configmap istio")
        return f"{config}\n{up(snapshot)}  # instead, if `overlays` in its file say so"
    where = f"-n {namespace_of(rule)} edit {DESTINATION_RULES} {name_of(rule)}"
    return kubectl(snapshot.host.name, where)
