"""outlierDetection, which makes every caller prefer its own region without saying so."""

from collections.abc import Iterator

from isthmus.diagnosis.fields import dig
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.load_balancing import (
    DESTINATION_RULES,
    distribution,
    edit,
    has_outlier_detection,
    locality_setting,
    mesh_locality,
    policy_in_force,
)
from isthmus.diagnosis.objects import full_name, name_of, namespace_of
from isthmus.diagnosis.services import MeshService, about, pods_of, reachable, regions, services
from isthmus.diagnosis.snapshot import Object, Snapshot


@analyzer("F38", "outlierDetection switched locality preference on", severity="warning")
def outlier_detection(snapshot: Snapshot) -> Iterator[Failure]:
    """Find outlierDetection without a locality setting, where the pods are in several regions."""
    for service in services(snapshot):
        rule, policy = policy_in_force(snapshot, service)
        mesh = mesh_locality(snapshot)
        if locality_setting(policy) is not None or not has_outlier_detection(snapshot, policy):
            continue
        if mesh.keys() - {"enabled"} or mesh.get("enabled") is False:
            continue  # somebody has thought of it
        where = {c.name: regions(c, pods_of(c, service)) for c in reachable(snapshot)}
        where = {name: found for name, found in where.items() if found}
        apart = len({region for found in where.values() for region in found}) > 1
        if apart and not distribution(snapshot, service):
            own = rule if policy.get("outlierDetection") is not None else None
            yield _preferred(snapshot, service, own, where)


def _preferred(
    snapshot: Snapshot, service: MeshService, rule: Object | None, where: dict[str, set[str]]
) -> Failure:
    what = full_name(rule) if rule else "MeshConfig"
    return Failure(
        (snapshot.host.name,),
        (
            f"{what}: outlierDetection for {service.host}, and no localityLbSetting",
            *(f"{name}: its pods are in {', '.join(sorted(r))}" for name, r in where.items()),
        ),
        "MeshConfig's localityLbSetting is on by default and takes effect with outlierDetection: "
        "each caller is answered by its own region while that has healthy endpoints",
        _switched_off(snapshot, rule),
        object=about(what, service),
    )


def _switched_off(snapshot: Snapshot, rule: Object | None) -> str:
    """Return the command that keeps outlierDetection and takes the preference away."""
    if rule is None or not dig(rule, "spec", "trafficPolicy", "outlierDetection"):
        return edit(snapshot, rule)
    off = '{"spec":{"trafficPolicy":{"loadBalancer":{"localityLbSetting":{"enabled":false}}}}}'
    name = f"{DESTINATION_RULES} {name_of(rule)}"
    words = f"-n {namespace_of(rule)} patch {name} --type=merge -p '{off}'"
    return kubectl(snapshot.host.name, words)


ANALYZERS = (outlier_detection,)
