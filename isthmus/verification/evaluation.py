"""From what clients saw and what clusters report to a verdict that holds or says why not."""

import math
from collections.abc import Iterable, Mapping, Sequence

from isthmus.environment import Environment
from isthmus.verification import endpoint_findings, traffic_findings
from isthmus.verification.answers import Answers, by_cluster, unknown_instances
from isthmus.verification.endpoints import SAMPLE_PORT, evaluate_endpoints, expected_endpoints
from isthmus.verification.evidence import (
    Finding,
    ObservedEndpoint,
    ReportedState,
    clusters_in_network,
    gateways_of_network,
)
from isthmus.verification.services import ServiceVerdict
from isthmus.verification.shares import Z, bound, expected_shares
from isthmus.verification.verdict import ClientVerdict, Verification


def evaluate_client(
    client: str,
    seen: list[ObservedEndpoint],
    answers: Answers,
    reported: ReportedState,
    port: int = SAMPLE_PORT,
) -> ClientVerdict:
    """Return the verdict on what one client saw, with a reason for everything that is not right."""
    counts = {**dict.fromkeys(reported.networks, 0), **by_cluster(answers, reported.instances)}
    where = (reported.addresses, reported.gateways, reported.networks)
    expected = expected_shares(client, seen, *where)
    unknown = unknown_instances(answers, reported.instances)
    return ClientVerdict(
        cluster=client,
        requests=answers.requests,
        failed=len(answers.failures) + len(unknown),
        answers=counts,
        expected=expected,
        observed_endpoints=sorted(endpoint.text for endpoint in seen),
        expected_endpoints=sorted(expected_endpoints(client, *where, port)),
        findings=(
            *_evaluate_table(client, seen, expected, reported, port),
            *_evaluate_requests(client, answers, unknown),
            *_evaluate_shares(client, counts, expected, reported, seen, not answers.failures),
        ),
    )


def evaluate(
    environment: Environment,
    clients: Sequence[ClientVerdict],
    more: Sequence[Finding] = (),
    services: Sequence[ServiceVerdict] = (),
) -> Verification:
    """Return the verdict on the whole mesh; `more` are findings made elsewhere, as on gateways."""
    networks = {cluster.name: cluster.network for cluster in environment.clusters}
    by_name = {client.cluster: client for client in clients}
    in_order = [by_name[name] for name in networks if name in by_name]
    return Verification(
        environment=environment.name,
        clients=in_order,
        services=tuple(services),
        findings=(
            *(traffic_findings.no_client(name) for name in networks if name not in by_name),
            *more,
            *_evaluate_pooled(in_order, networks),
        ),
    )


def _evaluate_table(
    client: str,
    seen: list[ObservedEndpoint],
    expected: Mapping[str, float],
    reported: ReportedState,
    port: int,
) -> list[Finding]:
    found = evaluate_endpoints(client, seen, reported, port)
    found += [endpoint_findings.no_pods(c) for c, ips in reported.addresses.items() if not ips]
    explained = {reported.networks[reason.about] for reason in found}
    unweighted = [c for c, share in expected.items() if not share]
    return found + [
        endpoint_findings.no_weight(client, c, reported.host)
        for c in unweighted
        if reported.networks[c] not in explained
    ]


def _evaluate_requests(client: str, answers: Answers, unknown: Sequence[str]) -> Iterable[Finding]:
    if answers.failures:
        yield traffic_findings.failures(client, answers.requests, answers.failures)
    if unknown:
        yield traffic_findings.unknown_instances(client, unknown)
    if answers.reused:
        yield traffic_findings.reused(client, answers.reused, answers.requests)


def _evaluate_shares(
    client: str,
    counts: Mapping[str, int],
    expected: Mapping[str, float],
    reported: ReportedState,
    seen: Sequence[ObservedEndpoint],
    hidden: bool,
) -> list[Finding]:
    good = sum(counts.values())
    if not good or not any(expected.values()):
        return []  # the failures, or the table, have said it all
    # However few the requests: a region that never answered has proved nothing.
    if silent := [c for c, share in expected.items() if share and not counts[c]]:
        return [
            traffic_findings.silent(
                client,
                c,
                counts,
                expected[c],
                _gateway_endpoints(client, c, reported, seen),
                hidden,
                reported.host,
            )
            for c in silent
        ]
    if all(_within(counts[c], good, share) for c, share in expected.items()):
        return []
    return [traffic_findings.skewed(client, counts, expected, seen, reported.host)]


def _gateway_endpoints(
    client: str, cluster: str, reported: ReportedState, seen: Sequence[ObservedEndpoint]
) -> list[ObservedEndpoint]:
    """Return the gateways by which a client reaches a cluster, none if it needs none."""
    network = reported.networks[cluster]
    if network == reported.networks[client]:
        return []
    ways = gateways_of_network(network, reported.gateways, reported.networks)
    return [endpoint for endpoint in seen if endpoint.text in ways]


def _within(k: int, n: int, p: float) -> bool:
    low, high = bound(n, p)
    return low <= k <= high


def _evaluate_pooled(
    clients: Sequence[ClientVerdict], networks: Mapping[str, str]
) -> Iterable[Finding]:
    """Yield a reason if only all clients together show answers staying in their own network."""
    if not clients or any(client.findings for client in clients):
        return
    own, mean, variance = 0, 0.0, 0.0
    for client in clients:
        home = clusters_in_network(networks[client.cluster], networks)
        share = sum(client.expected[c] for c in home)
        own += sum(client.answers[c] for c in home)
        mean += client.good_answers * share
        variance += client.good_answers * share * (1 - share)
    if abs(own - mean) > Z * math.sqrt(variance) + 1e-9:
        good = sum(client.good_answers for client in clients)
        yield traffic_findings.together(own, good, mean, [client.cluster for client in clients])
