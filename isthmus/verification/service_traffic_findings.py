"""The reasons that traffic to a service of the users' own gives."""

from collections import Counter
from collections.abc import Sequence

from isthmus.verification.evidence import UNKNOWN_CAUSE, Finding
from isthmus.verification.finding_text import (
    caller_log,
    kubectl,
    listed,
    make_finding,
    routing_rules,
)
from isthmus.verification.services import EndpointTraffic, ServiceExpectation
from isthmus.verification.shares import bound, wilson

_TOP = 3
"""How many kinds of one thing a sentence lists."""
CLOSED = "connection closed at once"
"""What became of a connection that was accepted and closed without a byte."""
NO_ROUTE = "no route of the VirtualService matches such a request: Envoy answers 404"
LED_NOWHERE = "the sidecar opened no connection to any endpoint"


def failing(expectation: ServiceExpectation, endpoint: EndpointTraffic) -> Finding:
    """What the sidecar sent to one endpoint failed."""
    cluster = (endpoint.clusters or (expectation.client,))[0]
    seen = [
        f"{count} {word}"
        for count, word in (
            (endpoint.connect_failures, "connections failed"),
            (endpoint.errors, _error_word(expectation)),
        )
        if count
    ]
    causes = {
        True: "nobody listens at that address, or a firewall or NetworkPolicy is between",
        False: "the pods behind it fail, or their sidecars have no way to them",
    }
    return make_finding(
        "failing endpoint",
        cluster,
        f"{expectation.client}: {expectation.name} at {endpoint.where} failed: "
        f"{listed(seen)}, of {endpoint.requests + endpoint.connect_failures} tries there",
        causes[bool(endpoint.connect_failures)],
        _logs(expectation, endpoint, cluster),
    )


def failed(expectation: ServiceExpectation, requests: int, why: Sequence[str]) -> Finding:
    """Requests failed, and no endpoint's counters tell where."""
    kinds = listed([f"{count} x {said}" for said, count in Counter(why).most_common(_TOP)])
    return make_finding(
        "failed requests",
        expectation.client,
        f"{expectation.client}: {len(why)} of {requests} requests to {expectation.url} failed "
        f"({kinds}), where none may",
        _cause_of(expectation, why),
        caller_log(expectation.client),
    )


def silent(expectation: ServiceExpectation, endpoint: EndpointTraffic, counted: int) -> Finding:
    """An endpoint that has a share got nothing."""
    low, high = bound(counted, endpoint.share)
    return make_finding(
        "silent",
        (endpoint.clusters or (expectation.client,))[0],
        f"{expectation.client}: of {counted} requests to {expectation.name} none went to "
        f"{endpoint.where}, where about {counted * endpoint.share:.0f} were expected ({low} to "
        f"{high} allowed)",
        "a rule of Istio keeps requests from it (VirtualService, DestinationRule, EnvoyFilter)",
        routing_rules(expectation.host),
    )


def skewed(
    expectation: ServiceExpectation, endpoints: Sequence[EndpointTraffic], counted: int
) -> Finding:
    """Shares lie outside what chance explains."""
    return make_finding(
        "skewed",
        expectation.client,
        f"{expectation.client}: of {counted} requests to {expectation.name} "
        + listed([_share(e, counted) for e in endpoints]),
        "a rule of Istio prefers some endpoints (DestinationRule, VirtualService, EnvoyFilter)",
        routing_rules(expectation.host),
    )


def _share(endpoint: EndpointTraffic, n: int) -> str:
    low, high = bound(n, endpoint.share)
    least, most = wilson(endpoint.requests, n)
    return (
        f"{endpoint.requests} went to {endpoint.where} (about {n * endpoint.share:.0f} expected, "
        f"{low} to {high} allowed; seen share {least:.2f} to {most:.2f})"
    )


def _error_word(expectation: ServiceExpectation) -> str:
    return "answers were errors" if expectation.protocol == "http" else "connections were closed"


def _logs(expectation: ServiceExpectation, endpoint: EndpointTraffic, cluster: str) -> str:
    namespace = expectation.service.split("/")[0]
    pods = [pod.split("/")[1] for pod in endpoint.pods if pod.startswith(f"{cluster}/")]
    if len(pods) == 1:
        return kubectl(cluster, f"-n {namespace} logs {pods[0]} --all-containers --tail=50")
    return kubectl(cluster, f"-n {namespace} get pods -o wide")


def _cause_of(expectation: ServiceExpectation, why: Sequence[str]) -> str:
    said = " ".join(why)
    for words, cause in (
        ("RBAC: access denied", "an AuthorizationPolicy refuses the caller, ServiceAccount default "
         "of namespace sample"),
        ("HTTP 404", NO_ROUTE if NO_ROUTE in expectation.notes else ""),
        ("HTTP 40", f"the service answers so for {expectation.path}: set `path` in "
         "verification.services to one that answers 200"),
        ("no healthy upstream", "the sidecar has no endpoint that takes requests"),
        (CLOSED, "an application behind an endpoint does not listen, or closes what it does not "
         "know"),
        (LED_NOWHERE, "; ".join(expectation.notes) or "Istio takes this port for HTTP, or waits "
         "for the caller's first byte: name the Service's port tcp-... or set its appProtocol"),
        ("Could not resolve", "the cluster's DNS does not know the Service"),
    ):  # fmt: skip
        if words in said and cause:
            return cause
    return f"{UNKNOWN_CAUSE}; the sidecar's log has each request's response flags"
