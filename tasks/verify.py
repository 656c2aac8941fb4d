"""Verification: what each caller's sidecar believes, what really answers, and the verdict."""

from isthmus import progress, waiting
from isthmus.adapters import kube, proxies, workloads
from isthmus.environment import Environment
from isthmus.errors import NotReady
from isthmus.facts import Access, Gateway
from isthmus.federation import SAMPLE, SYSTEM
from isthmus.stacks import load
from isthmus.verification import (
    ClientVerdict,
    Reason,
    Reported,
    SeenEndpoint,
    Verification,
    expected_endpoints,
    judge,
    judge_client,
    judge_gateway,
    parse_answers,
    parse_clusters,
    probe_script,
)
from isthmus.verification.places import SIDECAR, THROUGH, URL, WARM_UP
from tasks.policies import step

ADMIN = "127.0.0.1:15000/clusters?format=json"
SETTLED = 60.0
"""Seconds until a sidecar must have learnt the last change; a push takes one or two."""
KILLED = 126
"""From here on an exit code is none of curl's: not to be run, or ended by a signal (POSIX sh)."""
TABLE = "the sidecar's endpoint table"


class Unsettled(NotReady):
    """The table is not as expected; what it is instead is for the judge."""


@step("look at clusters", looks=True)
def report(
    environment: Environment, members: list[Access], gateways: list[Gateway | None]
) -> Reported:
    """Return what the clusters themselves say of the sample's pods and the gateways."""
    return Reported(
        pods={m.cluster: _pods(m) for m in members},
        gateways={g.cluster: g.ways for g in gateways if g},
        networks={c.name: c.network for c in environment.clusters},
    )


@step("find gateway", of="access", looks=True)
def find_gateway(environment: Environment, access: Access) -> Gateway | None:
    """Return the addresses at which the cluster's gateway is reached, None if it has none."""
    gateway = load(environment.stack).gateway
    addresses = workloads.current_addresses(kube.connect(access), gateway.name, SYSTEM)
    if not addresses:
        return None
    first, every = addresses[0], tuple(addresses)
    return Gateway(cluster=access.cluster, address=first, port=gateway.port, addresses=every)


@step("verify from", of="client", looks=True)
def verify_client(
    environment: Environment, client: Access, reported: Reported
) -> ClientVerdict | None:
    """Judge one client: its sidecar's endpoint table first, then its requests' answers.

    None if no caller runs there.
    """
    cluster = kube.connect(client)
    callers = workloads.running_pods(cluster, SAMPLE, "app=sleep")
    if not callers:
        return None
    caller = callers[0]["metadata"]["name"]
    seen = _settled_table(cluster, caller, reported)
    wanted = environment.verification
    progress.say(f"{wanted.requests} requests")
    command = probe_script(WARM_UP + wanted.requests, URL, wanted.timeout)
    text, said, code = cluster.execute(caller, SAMPLE, "sleep", command)
    if code >= KILLED:
        raise NotReady(f"{caller}: curl did not come to its end (exit code {code}): {said}")
    answers = parse_answers(text, wanted.requests, WARM_UP)
    return judge_client(client.cluster, seen, answers, reported)


@step("look through gateway", of="access", looks=True)
def verify_gateway(environment: Environment, access: Access, reported: Reported) -> list[Reason]:
    """Judge what a cluster's gateway does with requests that enter its network."""
    cluster = kube.connect(access)
    pods = workloads.running_pods(cluster, SYSTEM, load(environment.stack).gateway.selector)
    if not pods:
        return judge_gateway(access.cluster, None, reported)
    seen = parse_clusters(proxies.table(cluster, pods[0]), THROUGH)
    return judge_gateway(access.cluster, seen, reported)


@step("judge", looks=True)
def conclude(
    environment: Environment,
    clients: list[ClientVerdict | None],
    gateways: list[list[Reason]],
) -> Verification:
    """Return the verdict on the whole mesh."""
    heard = [client for client in clients if client]
    return judge(environment, heard, [reason for found in gateways for reason in found])


def _pods(member: Access) -> dict[str, str]:
    pods = workloads.running_pods(kube.connect(member), SAMPLE, "app=helloworld")
    return {p["metadata"]["name"]: p["status"]["podIP"] for p in pods}


def _settled_table(cluster: kube.Kube, caller: str, reported: Reported) -> list[SeenEndpoint]:
    """Return the table once it is as expected, or as it is when time is up: the judge tells."""
    where = (reported.addresses, reported.gateways, reported.networks)
    expected = expected_endpoints(cluster.access.cluster, *where)
    seen: list[SeenEndpoint] = []

    def settled() -> bool | None:
        nonlocal seen
        seen = _table(cluster, caller)
        return True if {e.text for e in seen} == set(expected) else None

    try:
        waiting.until(settled, TABLE, timeout=SETTLED, interval=0.5, error=Unsettled)
    except Unsettled:
        progress.say(f"{TABLE} does not become as expected")
    return seen


def _table(cluster: kube.Kube, caller: str) -> list[SeenEndpoint]:
    command = ["curl", "-q", "-sS", "-m", "5", ADMIN]
    text, problem, code = cluster.execute(caller, SAMPLE, "sleep", command)
    if code or not text:
        raise NotReady(f"{caller}: its sidecar does not answer: {problem}")
    return parse_clusters(text, SIDECAR)
