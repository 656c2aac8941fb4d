"""What is evaluated: the clusters' own report, an endpoint as seen, a reason."""

from collections.abc import Iterable, Mapping, Sequence

from isthmus.step_results import StepResult, join_host_port

COUNTS = {
    "tried": "rq_total",
    "answered": "rq_success",
    "errors": "rq_error",
    "unconnected": "cx_connect_fail",
    "dialled": "cx_total",
}
"""Envoy's names for them (envoy/upstream/host_description.h, ALL_HOST_STATS)."""

RECEIVING = frozenset({"HEALTHY", "UNKNOWN"})
"""Health states whose endpoints Envoy sends requests to; UNKNOWN is EDS's default."""

KINDS_BY_CAUSE = (
    ("no service", "no port", "not balanced"),
    ("no pods", "no gateway", "gateway down", "no client", "no sidecar"),
    ("gateway behind", "sends back", "pod missing", "gateway missing", "endpoint missing"),
    ("unknown service", "foreign pod", "unexpected endpoint", "unhealthy endpoint", "no weight"),
    ("failing endpoint",),
    ("reused connections", "unknown instance", "failed requests"),
    ("silent", "skewed"),
)
"""Kinds of reasons, each before what follows from it: what is not there, what proxies therefore
know, what their requests come to, what the shares of the answers show."""

UNKNOWN_CAUSE = "unknown from this evidence"
"""What a reason says whose evidence names no cause: one that does comes before it."""

Addresses = Mapping[str, Sequence[str]]
"""Addresses of each cluster, by the cluster's name."""


class ObservedEndpoint(StepResult):
    """One row of a proxy's endpoint table."""

    address: str
    port: int
    weight: int = 1
    health: str = "HEALTHY"
    counted: bool = False
    """Whether the proxy tells what became of its requests there; the counts are 0 if not."""
    tried: int = 0
    answered: int = 0
    errors: int = 0
    """Requests: sent there, answered by no error, answered by a 5xx or reset."""
    unconnected: int = 0
    """Connections that did not come about."""
    dialled: int = 0
    """Connections that were begun."""
    priority: int = 0
    """Others of a lower one get all requests as long as enough of them are well."""

    @property
    def text(self) -> str:
        """The endpoint as people write it: `ip:port`."""
        return join_host_port(self.address, self.port)

    @property
    def is_routable(self) -> bool:
        """Whether Envoy sends requests to it."""
        return self.health in RECEIVING


class ReportedState(StepResult):
    """What the clusters themselves say, independent of what any proxy believes."""

    pods: dict[str, dict[str, str]]
    """Of each cluster, its ready helloworld pods: name (which is the instance) to pod IP."""
    gateways: dict[str, list[str]]
    """Of each cluster, the `ip:port` where its network's gateway is reached."""
    networks: dict[str, str]
    """The network of each cluster; its keys are all the clusters there are, the host first."""

    @property
    def host(self) -> str:
        """The cluster with the control plane."""
        return next(iter(self.networks))

    @property
    def addresses(self) -> dict[str, list[str]]:
        """The pod IPs of each cluster."""
        return {cluster: list(self.pods.get(cluster, {}).values()) for cluster in self.networks}

    @property
    def instances(self) -> dict[str, str]:
        """The cluster of each instance."""
        return {pod: cluster for cluster, pods in self.pods.items() for pod in pods}


class Finding(StepResult):
    """Why a verdict is `fail`, in a sentence for a person."""

    kind: str
    """Stable word for the finding, such as `silent`; tests and reports select by it."""
    about: str
    """The cluster that is at fault, as far as that can be told."""
    text: str


def clusters_in_network(network: str, networks: Mapping[str, str]) -> list[str]:
    """Return the clusters of one network, in the order given."""
    return [cluster for cluster, its in networks.items() if its == network]


def gateways_of_network(
    network: str, gateways: Addresses, networks: Mapping[str, str]
) -> list[str]:
    """Return the `ip:port` of every gateway of one network."""
    return [
        way
        for cluster in clusters_in_network(network, networks)
        for way in gateways.get(cluster, ())
    ]


def sort_by_cause(reasons: Iterable[Finding]) -> list[Finding]:
    """Return each reason once, what may have caused others before them, else in their order."""
    rank = {kind: rank for rank, kinds in enumerate(KINDS_BY_CAUSE) for kind in kinds}
    once = {reason.text: reason for reason in reasons}

    def place(reason: Finding) -> tuple[bool, int]:
        return UNKNOWN_CAUSE in reason.text, rank.get(reason.kind, len(rank))

    return sorted(once.values(), key=place)


def subtract_counts(
    before: Sequence[ObservedEndpoint], now: Sequence[ObservedEndpoint]
) -> list[ObservedEndpoint]:
    """Return the endpoints of now with what was counted since then alone."""
    then = {endpoint.text: endpoint for endpoint in before}
    return [_less(endpoint, then.get(endpoint.text)) for endpoint in now]


def has_every_endpoint_answered(
    since: Sequence[ObservedEndpoint], lately: Sequence[ObservedEndpoint]
) -> bool:
    """Tell whether every endpoint that may get requests answered one since, and none failed lately.

    What a proxy does not count, or a weight of 0 keeps requests from, is not asked for.
    """
    answered = all(e.answered or not (e.counted and e.is_routable and e.weight) for e in since)
    return answered and not any(e.errors or e.unconnected for e in lately)


def _less(now: ObservedEndpoint, then: ObservedEndpoint | None) -> ObservedEndpoint:
    # A proxy that was started anew counts from 0 again.
    if then is None or now.tried < then.tried:
        return now
    less = {name: max(0, getattr(now, name) - getattr(then, name)) for name in COUNTS}
    return now.model_copy(update=less)
