"""Verification: what each caller's sidecar believes, what really answers, and the verdict."""

from isthmus import events, polling
from isthmus.adapters import envoy, kube, readiness
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.stacks import load
from isthmus.step_results import Access, GatewayAddress
from isthmus.verification import (
    ClientVerdict,
    Finding,
    ReportedState,
    Verification,
    evaluate,
    evaluate_gateway,
    parse_clusters,
)
from isthmus.verification.answers import GATEWAY_CLUSTER
from tasks import traffic
from tasks.policies import step


@step("inspect clusters", looks=True)
def inspect_clusters(
    environment: Environment, members: list[Access], gateways: list[GatewayAddress | None]
) -> ReportedState:
    """Return what the clusters themselves say of the sample's pods and the gateways."""
    return ReportedState(
        pods={m.cluster: _pods(m) for m in members},
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
    cluster = kube.connect(client)
    callers = traffic.ready_pods(cluster, SAMPLE_NAMESPACE, "app=sleep")
    if not callers:
        return None
    return traffic.Caller(environment, cluster, callers[0]["metadata"]["name"], reported).verdict()


@step("inspect gateway", of="access", looks=True)
def inspect_gateway(
    environment: Environment, access: Access, reported: ReportedState
) -> list[Finding]:
    """Judge what each pod of a cluster's gateway does with requests that enter its network.

    What is found wrong is looked at again within `endpoints`: a push may be on its way.
    """
    found: list[Finding] = []

    def sound() -> bool | None:
        nonlocal found
        found = _judge_gateway(environment, access, reported)
        return None if found and found[0].kind != "gateway down" else True

    limit = polling.timeouts().endpoints
    try:
        polling.until(
            sound,
            "the gateway's endpoint table to match the expected endpoints",
            timeout=limit,
            error=traffic.UnexpectedState,
        )
    except traffic.UnexpectedState:
        events.report_progress("its endpoint table does not match the expected endpoints")
    return found


@step("evaluate", looks=True)
def evaluate_mesh(
    environment: Environment,
    clients: list[ClientVerdict | None],
    gateways: list[list[Finding]],
) -> Verification:
    """Return the verdict on the whole mesh."""
    heard = [client for client in clients if client]
    return evaluate(environment, heard, [reason for found in gateways for reason in found])


def _pods(member: Access) -> dict[str, str]:
    pods = traffic.ready_pods(kube.connect(member), SAMPLE_NAMESPACE, "app=helloworld")
    return {p["metadata"]["name"]: p["status"]["podIP"] for p in pods}


def _judge_gateway(
    environment: Environment, access: Access, reported: ReportedState
) -> list[Finding]:
    cluster = kube.connect(access)
    pods = traffic.ready_pods(cluster, ISTIO_NAMESPACE, load(environment.stack).gateway.selector)
    tables = {p["metadata"]["name"]: envoy.fetch_endpoints(cluster, p) for p in pods}
    seen = {pod: parse_clusters(table, GATEWAY_CLUSTER) for pod, table in tables.items()}
    return evaluate_gateway(access.cluster, seen, reported)
