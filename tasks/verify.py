"""Verification: what each caller's sidecar believes, what really answers, and the verdict."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from isthmus import environment_store, events, polling
from isthmus.adapters import envoy, kube, readiness
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.stacks import load
from isthmus.step_results import Access, GatewayAddress
from isthmus.verification import (
    ClientVerdict,
    Finding,
    ReportedState,
    ServiceVerdict,
    Verification,
    evaluate,
    evaluate_gateway,
    parse_clusters,
)
from isthmus.verification.answers import GATEWAY_CLUSTER
from tasks import caller_pod
from tasks.policies import step
from tasks.traffic import SampleCaller


@step("inspect clusters", looks=True)
def inspect_clusters(
    environment: Environment, members: list[Access], gateways: list[GatewayAddress | None]
) -> ReportedState:
    """Return what the clusters themselves say of the sample's pods and the gateways."""
    with ThreadPoolExecutor(len(members)) as pool:
        pods = list(pool.map(polling.in_current_context(_pods), members))
    return ReportedState(
        pods={m.cluster: found for m, found in zip(members, pods, strict=True)},
        gateways={g.cluster: g.endpoints for g in gateways if g},
        networks={c.name: c.network for c in environment.clusters},
    )


@step("find gateway", of="access", looks=True)
def find_gateway(environment: Environment, access: Access) -> GatewayAddress | None:
    """Return the addresses at which the cluster's gateway is reached, None if it has none."""
    gateway = load(environment.stack).gateway
    addresses = readiness.current_addresses(kube.connect(access), gateway.name, ISTIO_NAMESPACE)
    if not addresses:
        return None
    first, every = addresses[0], tuple(addresses)
    return GatewayAddress(cluster=access.cluster, address=first, port=gateway.port, addresses=every)


@step("verify from", of="client", looks=True)
def verify_client(
    environment: Environment, client: Access, reported: ReportedState
) -> ClientVerdict | None:
    """Judge one client: its sidecar's endpoint table first, then its requests' answers.

    None if no caller is Ready there.
    """
    caller = caller_pod.find_caller(kube.connect(client))
    return SampleCaller(environment, caller, reported).verdict() if caller else None


@step("inspect gateway", of="access", looks=True)
def inspect_gateway(
    environment: Environment, access: Access, reported: ReportedState
) -> list[Finding]:
    """Judge what each pod of a cluster's gateway does with requests that enter its network.

    What is found wrong is looked at again within `endpoints`: a push may be on its way.
    """
    found: list[Finding] = []

    def sound() -> bool:
        nonlocal found
        found = _judge_gateway(environment, access, reported)
        return not found or found[0].kind == "gateway down"

    what = "the gateway's endpoint table to match the expected endpoints"
    if not caller_pod.comes_true(sound, what, polling.timeouts().endpoints):
        events.report_progress("its endpoint table does not match the expected endpoints")
    return found


@step("evaluate", looks=True)
def evaluate_mesh(
    environment: Environment,
    clients: list[ClientVerdict | None],
    gateways: list[list[Finding]],
    services: list[list[ServiceVerdict]],
) -> Verification:
    """Return the verdict on the whole mesh; a red one has the causes that the clusters show."""
    heard = [client for client in clients if client]
    more = [reason for found in gateways for reason in found]
    verdict = evaluate(environment, heard, more, [each for found in services for each in found])
    if verdict.verdict == "fail":
        # A run that proves the mesh need not wait for sixty checks to be loaded.
        from tasks import diagnosis

        events.report_progress("looking for the cause in all clusters")
        verdict = diagnosis.explain(environment, verdict)
    requests = sum(client.requests for client in heard)
    name, first = environment.name, verdict.first_finding
    with suppress(OSError):  # a full disk takes nothing from the verdict
        environment_store.record_proof(name, verdict.verdict, requests, first)
    return verdict


def _pods(member: Access) -> dict[str, str]:
    pods = caller_pod.ready_pods(kube.connect(member), SAMPLE_NAMESPACE, "app=helloworld")
    return {p["metadata"]["name"]: p["status"]["podIP"] for p in pods}


def _judge_gateway(
    environment: Environment, access: Access, reported: ReportedState
) -> list[Finding]:
    cluster = kube.connect(access)
    pods = caller_pod.ready_pods(cluster, ISTIO_NAMESPACE, load(environment.stack).gateway.selector)
    tables = {p["metadata"]["name"]: envoy.fetch_endpoints(cluster, p) for p in pods}
    seen = {pod: parse_clusters(table, GATEWAY_CLUSTER) for pod, table in tables.items()}
    return evaluate_gateway(access.cluster, seen, reported)
