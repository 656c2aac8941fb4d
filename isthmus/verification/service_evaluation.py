"""From what a client's sidecar counted at a service's endpoints to a verdict. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from isthmus.verification import service_findings as reasons
from isthmus.verification import service_traffic_findings as traffic_reasons
from isthmus.verification.evidence import Finding, ObservedEndpoint
from isthmus.verification.services import (
    EndpointTraffic,
    ServiceExpectation,
    ServiceVerdict,
    service_shares,
)
from isthmus.verification.shares import bound, requests_needed

MOST_REQUESTS = 2000
"""Requests that are sent for a small share to be seen; of smaller ones silence proves nothing."""


def requests_for(
    expectation: ServiceExpectation, tables: Mapping[str, Sequence[ObservedEndpoint]], least: int
) -> int:
    """Return how many requests leave no endpoint unseen by chance, `least` at least."""
    shares = [share for share in service_shares(expectation, tables).values() if share]
    return max(least, min(MOST_REQUESTS, requests_needed(min(shares)) if shares else 0))


def has_expected_table(expectation: ServiceExpectation, table: Sequence[ObservedEndpoint]) -> bool:
    """Tell whether a sidecar lists what it must, and nothing else."""
    return not list(_evaluate_table(expectation, table))


def evaluate_service(
    expectation: ServiceExpectation,
    tables: Mapping[str, Sequence[ObservedEndpoint]],
    requests: int,
    failures: Sequence[str],
) -> ServiceVerdict:
    """Return the verdict on a service as one client saw it.

    `tables` are the endpoints of each Envoy cluster that its requests may go to, with what was
    counted for them alone; `failures` are what became of the requests that got no good answer.
    """
    own = tables.get(expectation.envoy_cluster(), ())
    traffic = _traffic(expectation, tables)
    attributed = [e for e in traffic if e.errors or e.connect_failures]
    found = [
        *expectation.findings,
        *_evaluate_table(expectation, own),
        *(traffic_reasons.failing(expectation, endpoint) for endpoint in attributed),
    ]
    lost = _lost(expectation, traffic, requests, failures)
    counted = sum(e.errors + e.connect_failures for e in attributed)
    if counted < len(failures) + len(lost):
        found.append(traffic_reasons.failed(expectation, requests, [*failures, *lost]))
    if not found and not expectation.steered:
        found += _evaluate_shares(expectation, traffic, own)
    return ServiceVerdict(
        service=expectation.service,
        client=expectation.client,
        port=expectation.port,
        protocol=expectation.protocol,
        requests=requests,
        failed=len(failures) + len(lost),
        endpoints=tuple(traffic),
        notes=expectation.notes,
        steered=expectation.steered,
        findings=tuple(found),
    )


def unasked(expectation: ServiceExpectation) -> ServiceVerdict:
    """Return the verdict on a service that cannot be asked at all, for the reasons it has."""
    return ServiceVerdict(
        service=expectation.service,
        client=expectation.client,
        port=expectation.port,
        protocol=expectation.protocol,
        requests=0,
        failed=0,
        notes=expectation.notes,
        steered=expectation.steered,
        findings=expectation.findings,
    )


def _evaluate_table(
    expectation: ServiceExpectation, table: Sequence[ObservedEndpoint]
) -> Iterable[Finding]:
    if not table:
        yield reasons.unknown(expectation)
        return
    for endpoint in table:
        if not endpoint.is_routable:
            yield reasons.unhealthy(expectation, endpoint)
    if expectation.any_table:
        return
    seen, wanted = {e.text for e in table}, {e.text for e in expectation.endpoints}
    if lacking := [e for e in expectation.endpoints if e.text not in seen]:
        yield reasons.missing(expectation, lacking)
    if surplus := sorted(seen - wanted):
        yield reasons.unexpected(expectation, surplus)


def _traffic(
    expectation: ServiceExpectation, tables: Mapping[str, Sequence[ObservedEndpoint]]
) -> list[EndpointTraffic]:
    """Return each endpoint with its share and its counts, those of all Envoy clusters together."""
    shares = service_shares(expectation, tables)
    behind = {e.text: e for e in expectation.endpoints}
    seen: dict[str, list[ObservedEndpoint]] = {text: [] for text in behind}
    for table in tables.values():
        for endpoint in table:
            seen.setdefault(endpoint.text, []).append(endpoint)
    tcp = expectation.protocol == "tcp"
    return [
        EndpointTraffic(
            text=text,
            clusters=behind[text].clusters if text in behind else (),
            pods=behind[text].pods if text in behind else (),
            share=shares.get(text, 0.0),
            requests=sum(e.tried for e in rows),
            # Of a TCP connection the sidecar tells no success: that one came about is all.
            answered=sum(e.tried - e.errors if tcp else e.answered for e in rows),
            errors=sum(e.errors for e in rows),
            connect_failures=sum(_unconnected(e) if tcp else e.unconnected for e in rows),
        )
        for text, rows in seen.items()
    ]


def _unconnected(endpoint: ObservedEndpoint) -> int:
    """Return the TCP connections that did not come about, those that nobody answers among them.

    Envoy counts a request once its connection is there (source/common/conn_pool).
    """
    return max(endpoint.unconnected, endpoint.dialled - endpoint.tried)


def _lost(
    expectation: ServiceExpectation,
    traffic: Sequence[EndpointTraffic],
    requests: int,
    failures: Sequence[str],
) -> list[str]:
    """Return the TCP connections that the caller held and that led to no endpoint."""
    if expectation.protocol != "tcp" or expectation.steered:
        return []
    lost = requests - len(failures) - sum(endpoint.requests for endpoint in traffic)
    return [traffic_reasons.LED_NOWHERE] * max(0, lost)


def _evaluate_shares(
    expectation: ServiceExpectation,
    traffic: Sequence[EndpointTraffic],
    table: Sequence[ObservedEndpoint],
) -> Iterable[Finding]:
    """Yield what is not as the weights say.

    TCP connections are held side by side: where weights differ Envoy then prefers who holds few
    (source/extensions/load_balancing_policies/least_request), so that only silence tells.
    """
    counted = sum(endpoint.requests for endpoint in traffic)
    if not counted:
        return
    quiet = [e for e in traffic if e.share and not e.requests]
    if sure := [e for e in quiet if counted >= requests_needed(e.share)]:
        yield from (traffic_reasons.silent(expectation, endpoint, counted) for endpoint in sure)
    elif expectation.protocol == "tcp" and len({e.weight for e in table}) > 1:
        return
    elif not all(_within(e, counted) for e in traffic):
        yield traffic_reasons.skewed(expectation, traffic, counted)


def _within(endpoint: EndpointTraffic, counted: int) -> bool:
    low, high = bound(counted, endpoint.share)
    return low <= endpoint.requests <= high
