"""The reasons that a service of the users' own gives, a function for each way to be wrong."""

from collections import Counter
from collections.abc import Sequence

from isthmus.verification.evidence import Finding
from isthmus.verification.finding_text import (
    caller_log,
    gateway_pods,
    kubectl,
    listed,
    make_finding,
    routing_rules,
)
from isthmus.verification.services import EndpointTraffic, ExpectedEndpoint, ServiceExpectation
from isthmus.verification.shares import bound, wilson

_TOP = 3
"""How many kinds of one thing a sentence lists."""
CLOSED = "connection closed at once"
"""What became of a connection that was accepted and closed without a byte."""
LED_NOWHERE = "the sidecar opened no connection to any endpoint"


def not_there(service: str, clusters: Sequence[str]) -> Finding:
    """A cluster has no such Service, so that its callers cannot resolve its name."""
    namespace, name = service.split("/")
    return make_finding(
        "no service",
        clusters[0],
        f"{listed(clusters)}: there is no Service {service}, so its name does not resolve there",
        "it was not deployed there: Istio needs the Service (not its pods) in every cluster that "
        "calls it",
        kubectl(clusters[0], f"-n {namespace} get service {name}"),
    )


def no_port(service: str, client: str, port: int | None, known: Sequence[int]) -> Finding:
    """The Service has not that port, or several to choose from."""
    seen = f"it has {listed([str(p) for p in known])}"
    said = f"no port {port}: {seen}" if port else f"no single port: {seen}"
    return make_finding(
        "no port",
        client,
        f"{client}: Service {service} has {said}",
        "`port` in verification.services is wrong, or missing",
        f"isthmus verify --service {service}:{known[0] if known else 'PORT'}",
    )


def not_balanced(service: str, client: str, kind: str) -> Finding:
    """No sidecar balances such a Service, so that there is no share to prove."""
    namespace, name = service.split("/")
    return make_finding(
        "not balanced",
        client,
        f"{client}: Service {service} is {kind}, so that DNS and not the sidecar chooses who "
        "answers, and other networks are not reached by it",
        "it needs a cluster IP to be reached in every network of a mesh",
        kubectl(client, f"-n {namespace} get service {name} -o yaml"),
    )


def nobody_ready(service: str, client: str, clusters: Sequence[str]) -> Finding:
    """No pod is ready behind the Service anywhere."""
    namespace, _ = service.split("/")
    return make_finding(
        "no pods",
        client,
        f"{listed(clusters)}: no pod is Ready behind Service {service}",
        "its pods are not there or not Ready, or its selector chooses none",
        kubectl(client, f"-n {namespace} get pods,endpointslices"),
    )


def outside_mesh(service: str, cluster: str, pods: Sequence[str], network: str) -> Finding:
    """A network's ready pods have no sidecar, and are not reached from other networks."""
    namespace, _ = service.split("/")
    return make_finding(
        "no sidecar",
        cluster,
        f"{cluster}: no pod of {service} has a sidecar ({listed(pods[:_TOP])}), so that other "
        f"networks than {network} do not reach them",
        f"namespace {namespace} has no label istio-injection=enabled, or the pods are older",
        f"{kubectl(cluster, f'label namespace {namespace} istio-injection=enabled')} && "
        f"{kubectl(cluster, f'-n {namespace} rollout restart deployment')}",
    )


def unknown(expectation: ServiceExpectation) -> Finding:
    """The caller's sidecar does not know the service."""
    return make_finding(
        "unknown service",
        expectation.client,
        f"{expectation.client}: the caller's sidecar does not know port {expectation.port} of "
        f"{expectation.name}",
        "the Service is not exported to namespace sample (networking.istio.io/exportTo), a Sidecar "
        "leaves it out, or istiod has not sent it yet",
        f"isthmus diagnose, or {caller_log(expectation.client)}",
    )


def missing(expectation: ServiceExpectation, lacking: Sequence[ExpectedEndpoint]) -> Finding:
    """The caller's sidecar lacks endpoints."""
    cluster, far = lacking[0].clusters[0], lacking[0].gateway
    what = listed([f"{e.text} ({_behind(e)})" for e in lacking])
    command = gateway_pods(cluster) if far else caller_log(expectation.client)
    return make_finding(
        "endpoint missing",
        cluster,
        f"{expectation.client}: of {expectation.name} the caller's sidecar does not list {what}",
        f"istiod cannot read {cluster}, a rule hides it (Sidecar, DestinationRule), or the sidecar "
        "receives no xDS updates from istiod",
        command,
    )


def unexpected(expectation: ServiceExpectation, surplus: Sequence[str]) -> Finding:
    """The caller's sidecar lists what is neither a ready pod nor a gateway."""
    return make_finding(
        "unexpected endpoint",
        expectation.client,
        f"{expectation.client}: of {expectation.name} the caller's sidecar lists "
        f"{listed(surplus)}, which is neither a ready pod of its own network nor a gateway of "
        "another with ready pods",
        "a pod or a gateway that is gone, or one that a ServiceEntry names",
        caller_log(expectation.client),
    )


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


def _behind(endpoint: ExpectedEndpoint) -> str:
    role = "the gateway of " if endpoint.gateway else ""
    return f"{role}{listed(endpoint.clusters)}: {listed(endpoint.pods[:_TOP])}"


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
        ("HTTP 40", f"the service answers so for {expectation.path}: set `path` in "
         "verification.services to one that answers 200"),
        ("no healthy upstream", "the sidecar has no endpoint that takes requests"),
        (CLOSED, "an application behind an endpoint does not listen, or closes what it does not "
         "know"),
        (LED_NOWHERE, "; ".join(expectation.notes) or "Istio takes this port for HTTP, or waits "
         "for the caller's first byte: name the Service's port tcp-... or set its appProtocol"),
        ("Could not resolve", "the cluster's DNS does not know the Service"),
    ):  # fmt: skip
        if words in said:
            return cause
    return "unknown from this evidence; the sidecar's log has each request's response flags"
