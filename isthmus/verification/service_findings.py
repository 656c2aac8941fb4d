"""The reasons that a service of the users' own gives by what it is and what proxies know of it."""

from collections.abc import Sequence

from isthmus.verification.evidence import Finding, ObservedEndpoint
from isthmus.verification.finding_text import (
    caller_log,
    gateway_pods,
    kubectl,
    listed,
    make_finding,
)
from isthmus.verification.services import ExpectedEndpoint, ServiceExpectation

_TOP = 3
"""How many kinds of one thing a sentence lists."""


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
        kubectl(client, f"-n {service.split('/')[0]} get service {service.split('/')[1]}"),
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
        caller_log(expectation.client),
    )


def unhealthy(expectation: ServiceExpectation, endpoint: ObservedEndpoint) -> Finding:
    """The caller's sidecar sends no requests to an endpoint that it lists."""
    known = {e.text: e for e in expectation.endpoints}.get(endpoint.text)
    cluster = known.clusters[0] if known and known.clusters else expectation.client
    behind = f" ({_behind(known)})" if known else ""
    return make_finding(
        "unhealthy endpoint",
        cluster,
        f"{expectation.client}: of {expectation.name} the caller's sidecar sends nothing to "
        f"{endpoint.text}{behind}: {endpoint.health}",
        "it failed often enough to be ejected (outlierDetection of a DestinationRule), or istiod "
        "calls it unhealthy",
        caller_log(expectation.client),
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


def _behind(endpoint: ExpectedEndpoint) -> str:
    role = "the gateway of " if endpoint.gateway else ""
    return f"{role}{listed(endpoint.clusters)}: {listed(endpoint.pods[:_TOP])}"
