"""Services of the users' own: what each region's caller must find, and what it finds."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from isthmus import events, polling
from isthmus.adapters import kube
from isthmus.collectors import mesh
from isthmus.diagnosis.service_expectation import expect_service
from isthmus.environment import Environment, ServiceSpec
from isthmus.errors import ClusterUnreachable, NotReady
from isthmus.step_results import Access
from isthmus.verification import ReportedState, ServiceExpectation, ServiceVerdict
from tasks.caller_pod import find_caller
from tasks.policies import step
from tasks.service_caller import ServiceCaller

NEEDED = ("Service", "Pod", "EndpointSlice")
"""Kinds without which nothing can be said of who should answer."""
AT_A_TIME = 4
"""Services that one caller asks at a time."""


@step("inspect services", looks=True)
def inspect_services(
    environment: Environment, members: list[Access], reported: ReportedState, building: bool
) -> list[ServiceExpectation]:
    """Return what each cluster's caller must find of each service, by what all clusters have.

    For a build, without services that no cluster has yet: the mesh comes before what it is for.
    """
    specs = environment.verification.services
    found = _expectations(environment, [m.cluster for m in members], reported, specs)
    wanted = list(dict.fromkeys(spec.name for spec in specs))
    known = {e.service for e in found if not any(r.kind == "no service" for r in e.findings)}
    if building and (absent := [name for name in wanted if name not in known]):
        events.report_progress(f"in no cluster yet, and not asked: {', '.join(absent)}")
        return [e for e in found if e.service in known]
    return found


@step("verify services from", of="client", looks=True)
def verify_services(
    environment: Environment,
    client: Access,
    reported: ReportedState,
    expected: list[ServiceExpectation],
) -> list[ServiceVerdict]:
    """Judge each service as one cluster's caller sees it; nothing if no caller is Ready there."""
    caller = find_caller(kube.connect(client))
    own = [each for each in expected if each.client == client.cluster]
    if caller is None or not own:
        return []

    def judge(each: ServiceExpectation) -> ServiceVerdict:
        again = partial(_expect_anew, environment, reported, each)
        return ServiceCaller(environment.verification, caller, each, again).verdict()

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(polling.in_current_context(judge), own))


def _expectations(
    environment: Environment,
    clients: Sequence[str],
    reported: ReportedState,
    specs: Sequence[ServiceSpec],
) -> list[ServiceExpectation]:
    """Return what clients must find; raises NotReady if a cluster did not tell what it has."""
    snapshot = mesh.take_snapshot(environment, proxies=False, ways=False)
    for cluster in snapshot.clusters:
        untold = {f"list {kind}": cluster.errors.get(f"list {kind}") for kind in NEEDED}
        if not cluster.reachable:
            raise NotReady(cluster.unreachable_reason, cluster=cluster.name)
        for what, why in untold.items():
            if why:
                raise NotReady(f"cannot {what}: {why}", cluster=cluster.name)
    return [
        expect_service(snapshot, spec, client, reported.gateways)
        for client in clients
        for spec in specs
    ]


def _expect_anew(
    environment: Environment, reported: ReportedState, each: ServiceExpectation
) -> ServiceExpectation:
    """Return what a caller must find of a service by what clusters have now, if they tell."""
    if polling.is_out_of_time():
        return each
    specs = environment.verification.services
    spec = next(s for s in specs if s.name == each.service and s.port in (None, each.port))
    try:
        [found] = _expectations(environment, [each.client], reported, [spec])
    except (ClusterUnreachable, NotReady):
        return each
    return found
